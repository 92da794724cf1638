//! Every route, with who may use it. A route that is not in this table does not exist.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::api::{ApiError, ErrorCode};
use crate::say;

use super::akkaflow;
use super::guard::{self, Access, RouteGuard};
use super::options::AkkaflowRoutes;
use super::pages;
use super::problem::Failure;
use super::rest;
use super::state::App;

pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    /// Streams and waits: no common deadline.
    pub is_long: bool,
    /// Answers by a stream, which counts itself for as long as it lives.
    pub is_stream: bool,
    /// Takes a definition: a larger body.
    pub is_large: bool,
    handler: MethodRouter<App>,
}

fn get<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    let handler = on(MethodFilter::GET, handler);
    Route { method: Method::GET, path, access, is_long: false, is_stream: false, is_large: false, handler }
}

fn post<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    let handler = on(MethodFilter::POST, handler);
    Route { method: Method::POST, path, access, is_long: false, is_stream: false, is_large: false, handler }
}

impl Route {
    fn long(self) -> Self {
        Self { is_long: true, ..self }
    }

    fn stream(self) -> Self {
        Self { is_long: true, is_stream: true, ..self }
    }

    fn large(self) -> Self {
        Self { is_large: true, ..self }
    }
}

/// The table.
pub fn routes() -> Vec<Route> {
    use Access::{Akkaflow, Change, Form, Open, Read};
    use rest::{cluster, events, health, instances, links, logs, monitors, openapi, workflows};
    vec![
        // health
        get("/livez", Open, health::livez),
        get("/readyz", Open, health::readyz),
        get("/leaderz", Open, health::leaderz),
        get("/metrics", Read, health::metrics),
        // API: reads
        get("/api/v1/openapi.json", Open, openapi::document),
        get("/api/v1/status", Read, cluster::status),
        get("/api/v1/cluster", Read, cluster::cluster),
        get("/api/v1/workers", Read, cluster::workers),
        get("/api/v1/schedule", Read, cluster::schedule),
        get("/api/v1/schedule/today", Read, cluster::today),
        get("/api/v1/load-errors", Read, cluster::load_errors),
        get("/api/v1/load-errors/{id}", Read, cluster::load_error),
        get("/api/v1/workflows", Read, workflows::list),
        get("/api/v1/folders", Read, workflows::folders),
        get("/api/v1/workflows/{target}", Read, workflows::show),
        get("/api/v1/workflows/{name}/versions", Read, workflows::versions),
        get("/api/v1/workflows/{name}/versions/{version}", Read, workflows::version),
        get("/api/v1/workflows/{name}/next", Read, workflows::next),
        get("/api/v1/workflows/{name}/why", Read, workflows::why),
        get("/api/v1/workflows/{name}/nodes/{node}/measurements", Read, monitors::measurements),
        get("/api/v1/monitors", Read, monitors::list),
        get("/api/v1/instances", Read, instances::list),
        get("/api/v1/instances/{target}", Read, instances::show).long(),
        get("/api/v1/instances/{instance}/events", Read, instances::events),
        get("/api/v1/instances/{instance}/why", Read, instances::why),
        get("/api/v1/instances/{instance}/nodes/{node}", Read, instances::node),
        get("/api/v1/instances/{instance}/nodes/{node}/why", Read, instances::node_why),
        get("/api/v1/instances/{instance}/nodes/{node}/log", Read, logs::newest).long(),
        get("/api/v1/instances/{instance}/nodes/{node}/attempts/{attempt}/log", Read, logs::attempt).long(),
        get("/api/v1/links", Read, links::list),
        get("/api/v1/links/{target}", Read, links::show),
        get("/api/v1/events", Read, events::stream).stream(),
        // API: changes, the verb behind a colon
        post("/api/v1/workflows:check", Change, workflows::check).large(),
        post("/api/v1/workflows:apply", Change, workflows::apply).large(),
        post("/api/v1/workflows:reset", Change, workflows::reset_all),
        post("/api/v1/workflows/{target}", Change, workflows::act),
        post("/api/v1/instances/{target}", Change, instances::act),
        post("/api/v1/workers/{target}", Change, cluster::act_on_worker),
        post("/api/v1/links/{target}", Change, links::act).long(),
        post("/api/v1/cluster:switch-over", Change, cluster::switch_over),
        post("/api/v1/cluster:finalize-upgrade", Change, cluster::finalize_upgrade),
        post("/api/v1/cluster/members/{target}", Change, cluster::act_on_member).long(),
        // pages
        get("/", Read, pages::home::page),
        get("/workflows", Read, pages::workflows::page),
        get("/w/{name}", Read, pages::workflow::page),
        get("/w/{name}/versions/{version}", Read, pages::definition::page),
        get("/instances", Read, pages::instances::page),
        get("/i/{instance}", Read, pages::instance::page),
        get("/load-errors/{id}", Read, pages::load_error::page),
        get("/schedule", Read, pages::schedule::page),
        get("/monitor", Read, pages::monitors::page),
        get("/monitor/{workflow}/{node}", Read, pages::monitor::page),
        get("/links", Read, pages::links::page),
        get("/links/{name}", Read, pages::links::one),
        get("/cluster", Read, pages::cluster::page),
        get("/login", Open, pages::login::page),
        get("/assets/{file}", Open, pages::assets::file),
        get("/favicon.ico", Open, pages::assets::favicon),
        // forms of the pages
        post("/login", Open, pages::login::accept),
        post("/logout", Form, pages::login::sign_out),
        post("/w/{name}", Form, pages::forms::workflow),
        post("/i/{instance}", Form, pages::forms::instance),
        post("/workers/{worker}", Form, pages::forms::worker),
        post("/links", Form, pages::links::add),
        post("/links/{name}", Form, pages::links::act).long(),
        // akkaflow's own, by either method; only where the settings say so
        get("/akkaflow/workflow", Akkaflow, akkaflow::workflow_text).large(),
        post("/akkaflow/workflow", Akkaflow, akkaflow::workflow_text).large(),
        get("/akkaflow/workflow/{name}", Akkaflow, akkaflow::workflow),
        post("/akkaflow/workflow/{name}", Akkaflow, akkaflow::workflow),
        get("/akkaflow/workflow/instance/{id}", Akkaflow, akkaflow::instance),
        post("/akkaflow/workflow/instance/{id}", Akkaflow, akkaflow::instance),
        get("/akkaflow/workflows", Akkaflow, akkaflow::workflows),
        post("/akkaflow/workflows", Akkaflow, akkaflow::workflows),
        get("/akkaflow/cluster", Akkaflow, akkaflow::cluster),
        post("/akkaflow/cluster", Akkaflow, akkaflow::cluster),
        get("/akkaflow/db-link", Akkaflow, akkaflow::db_links),
        post("/akkaflow/db-link", Akkaflow, akkaflow::db_links),
        get("/akkaflow/db-link/{name}", Akkaflow, akkaflow::db_link),
        post("/akkaflow/db-link/{name}", Akkaflow, akkaflow::db_link),
        get("/akkaflow/file-link", Akkaflow, akkaflow::file_links),
        post("/akkaflow/file-link", Akkaflow, akkaflow::file_links),
        get("/akkaflow/file-link/{name}", Akkaflow, akkaflow::file_link),
        post("/akkaflow/file-link/{name}", Akkaflow, akkaflow::file_link),
    ]
}

pub fn router(app: App) -> Router {
    let mut router: Router<App> = Router::new();
    let is_served = |route: &Route| route.access != Access::Akkaflow || app.options.akkaflow != AkkaflowRoutes::Off;
    for route in routes().into_iter().filter(is_served) {
        let limits = &app.options.limits;
        let guard = RouteGuard {
            app: app.clone(),
            access: route.access,
            path: route.path,
            is_long: route.is_long,
            is_stream: route.is_stream,
            body_bytes_max: if route.is_large { limits.definition_bytes_max } else { limits.body_bytes_max },
        };
        router = router.route(route.path, route.handler.layer(from_fn_with_state(guard, guard::inner)));
    }
    router
        .fallback(|| async { Failure(ApiError::new(ErrorCode::NotFound, say!("there is nothing at this address"))) })
        .method_not_allowed_fallback(|| async {
            Failure(ApiError::new(
                ErrorCode::MethodNotAllowed,
                say!("changes are made by POST, all else is read by GET"),
            ))
        })
        .layer(CatchPanicLayer::custom(|_| {
            Failure(ApiError::new(ErrorCode::Internal, say!("the request ran into a fault of the server")))
                .into_response()
        }))
        .layer(from_fn_with_state(app.clone(), guard::outer))
        .layer(CompressionLayer::new())
        .with_state(app)
}
