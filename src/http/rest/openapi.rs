//! The OpenAPI document, built from the types of `api` and one row per operation.
//!
//! docs/openapi.json is this document; a test keeps them equal and finds a route without a row.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, ResponseBuilder, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::api::change::*;
use crate::api::error::Problem;
use crate::api::view::*;
use crate::api::{ChangeAnswer, LogPage, Page};

use super::window::OF_DEFINITION;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = document_value().to_pretty_json().expect("the document has only string keys");
    text.push('\n');
    text
});

pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text()).into_response()
}

pub fn text() -> &'static str {
    &DOCUMENT
}

type SchemaOf = fn(&mut Vec<(String, RefOr<Schema>)>) -> String;

/// One operation.
struct Row {
    method: HttpMethod,
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    request: Option<SchemaOf>,
    /// `None`: a stream or text.
    reply: Option<SchemaOf>,
}

fn get(path: &'static str, summary: &'static str, query: &'static [&'static str], reply: SchemaOf) -> Row {
    Row { method: HttpMethod::Get, path, summary, query, request: None, reply: Some(reply) }
}

fn post(path: &'static str, summary: &'static str, request: Option<SchemaOf>, reply: SchemaOf) -> Row {
    Row { method: HttpMethod::Post, path, summary, query: &["reason"], request, reply: Some(reply) }
}

/// `kind` tells two links of the same name apart.
fn on_link(path: &'static str, summary: &'static str, request: Option<SchemaOf>, reply: SchemaOf) -> Row {
    Row { query: &["kind", "reason"], ..post(path, summary, request, reply) }
}

/// Puts the schema of `T` and of all that it holds into the components, and gives its name.
fn schema<T: ToSchema + PartialSchema>(all: &mut Vec<(String, RefOr<Schema>)>) -> String {
    let name = T::name().to_string();
    all.push((name.clone(), T::schema()));
    T::schemas(all);
    name
}

/// Lists have their own name in the components.
macro_rules! list_of {
    ($name:literal, $item:ty) => {{
        fn of(all: &mut Vec<(String, RefOr<Schema>)>) -> String {
            schema::<$item>(all);
            all.push(($name.to_owned(), <Vec<$item>>::schema()));
            $name.to_owned()
        }
        of as SchemaOf
    }};
}

macro_rules! page_of {
    ($name:literal, $item:ty) => {{
        fn of(all: &mut Vec<(String, RefOr<Schema>)>) -> String {
            schema::<$item>(all);
            all.push(($name.to_owned(), <Page<$item>>::schema()));
            $name.to_owned()
        }
        of as SchemaOf
    }};
}

const LOG: &[&str] =
    &["from", "tail", "limit", "grep", "stream", "generation", "index", "attempt", "wait", "follow", "download"];
const PAGE: &[&str] = &["limit", "cursor"];

fn rows() -> Vec<Row> {
    let answer = schema::<ChangeAnswer> as SchemaOf;
    let log = |path, summary| Row {
        method: HttpMethod::Get,
        path,
        summary,
        query: LOG,
        request: None,
        reply: Some(schema::<LogPage>),
    };
    vec![
        get("/api/v1/status", "What the status page shows", &[], schema::<StatusView>),
        get("/api/v1/cluster", "Masters, workers, HttpServers", &[], schema::<ClusterView>),
        get("/api/v1/workers", "Workers with their slots and running attempts", &[], list_of!("Workers", WorkerView)),
        get("/api/v1/schedule", "What fires next, soonest first", &["limit"], list_of!("NextFires", NextFireView)),
        get("/api/v1/schedule/today", "How often each workflow still fires today", &[], schema::<TodayView>),
        get(
            "/api/v1/load-errors",
            "Files that do not load; with `warnings=true` also those that load with warnings",
            &["warnings", "limit", "cursor"],
            page_of!("LoadErrors", LoadErrorView),
        ),
        get(
            "/api/v1/load-errors/{id}",
            "One file that does not load, with all its faults",
            &[],
            schema::<LoadErrorView>,
        ),
        get(
            "/api/v1/workflows",
            "Workflows by name",
            &["text", "dir", "owner", "tag", "enabled", "has_error", "last_state", "limit", "cursor"],
            page_of!("Workflows", WorkflowSummary),
        ),
        get(
            "/api/v1/folders",
            "The tree of folders, with what is the matter in each and below it",
            &[],
            schema::<FoldersView>,
        ),
        get(
            "/api/v1/workflows/{name}",
            "One workflow, with a window on its nodes: `nodes_next` is the `node_cursor` of the next",
            OF_DEFINITION,
            schema::<WorkflowView>,
        ),
        get("/api/v1/workflows/{name}/versions", "Its versions, newest first", PAGE, page_of!("Versions", VersionView)),
        get(
            "/api/v1/workflows/{name}/versions/{version}",
            "One version with its text, from byte `text_from` on, and a window on its nodes; `latest` is the newest",
            &["text_from", "node_limit", "node_cursor", "node_name", "node_around"],
            schema::<DefinitionView>,
        ),
        get(
            "/api/v1/workflows/{name}/next",
            "Its next fires with the parameters as they will render",
            &["limit"],
            list_of!("NextFires", NextFireView),
        ),
        get("/api/v1/workflows/{name}/why", "Why it does (not) fire", &[], schema::<WhyView>),
        post(
            "/api/v1/workflows:check",
            "Would this text load? Changes nothing",
            Some(schema::<CheckRequest>),
            schema::<CheckView>,
        ),
        post("/api/v1/workflows:apply", "Load this text as the newest version", Some(schema::<ApplyRequest>), answer),
        post("/api/v1/workflows:reset", "Clear the readiness of every workflow", None, answer),
        post(
            "/api/v1/workflows/{name}:run",
            "Start an instance that affects no dependants",
            Some(schema::<RunRequest>),
            answer,
        ),
        post(
            "/api/v1/workflows/{name}:trigger",
            "Start it as its trigger would",
            Some(schema::<TriggerRequest>),
            answer,
        ),
        post("/api/v1/workflows/{name}:enable", "Let its triggers fire", None, answer),
        post("/api/v1/workflows/{name}:disable", "No more fires; running instances go on", None, answer),
        post("/api/v1/workflows/{name}:reset", "Clear its readiness", None, answer),
        post("/api/v1/workflows/{name}:delete", "Remove it; its history stays until it is trimmed", None, answer),
        get(
            "/api/v1/workflows/{name}/nodes/{node}/measurements",
            "What a data-monitor node measured, newest first",
            &["since", "until", "limit", "cursor"],
            page_of!("Measurements", MeasurementView),
        ),
        get(
            "/api/v1/monitors",
            "The data-monitor nodes that measured something, each with its newest measurements",
            &["workflow", "limit", "cursor"],
            page_of!("Monitors", MonitorView),
        ),
        get(
            "/api/v1/instances",
            "Instances, newest first",
            &["workflow", "state", "kind", "since", "until", "creator", "text", "limit", "cursor"],
            page_of!("Instances", InstanceSummary),
        ),
        get(
            "/api/v1/instances/{instance}",
            "One instance: number, `last` or `last:workflow`, with a window on its nodes: `nodes_next` is the \
             `node_cursor` of the next. With `Prefer: wait=N` not before its end",
            &[
                "generation",
                "node_limit",
                "node_cursor",
                "node_order",
                "node_state",
                "node_begun",
                "node_name",
                "node_around",
            ],
            schema::<InstanceView>,
        ),
        get(
            "/api/v1/instances/{instance}:wait",
            "One instance, not before its end or the timeout",
            &[
                "timeout",
                "min_seq",
                "node_limit",
                "node_cursor",
                "node_order",
                "node_state",
                "node_begun",
                "node_name",
                "node_around",
            ],
            schema::<InstanceView>,
        ),
        get(
            "/api/v1/instances/{instance}/events",
            "Why each transition happened, oldest first",
            PAGE,
            page_of!("Events", EventView),
        ),
        get("/api/v1/instances/{instance}/why", "Why it is not running or not going on", &[], schema::<WhyView>),
        get(
            "/api/v1/instances/{instance}/nodes/{node}",
            "One node with its attempts",
            &["generation"],
            schema::<NodeView>,
        ),
        get("/api/v1/instances/{instance}/nodes/{node}/why", "Why it is not running", &[], schema::<WhyView>),
        log(
            "/api/v1/instances/{instance}/nodes/{node}/log",
            "The log of the newest attempt: a range, the tail, a search, or (text/event-stream) following",
        ),
        log("/api/v1/instances/{instance}/nodes/{node}/attempts/{attempt}/log", "The log of one attempt"),
        post("/api/v1/instances/{instance}:kill", "Stop it: TERM, grace, KILL", Some(schema::<KillRequest>), answer),
        post("/api/v1/instances/{instance}:pause", "Start no further node", None, answer),
        post("/api/v1/instances/{instance}:resume", "Go on", None, answer),
        post(
            "/api/v1/instances/{instance}:rerun",
            "Run it again as a new generation",
            Some(schema::<RerunRequest>),
            answer,
        ),
        post("/api/v1/instances/{instance}:mark", "Force the state of a node", Some(schema::<MarkRequest>), answer),
        post("/api/v1/instances/{instance}:delete", "Remove it from the history", None, answer),
        post("/api/v1/workers/{worker}:declare-dead", "All its attempts are known dead: a person looked", None, answer),
        get(
            "/api/v1/links",
            "Named databases and file systems, of the cluster and of the files of its workers",
            &[],
            schema::<LinksView>,
        ),
        get(
            "/api/v1/links/{name}",
            "One link; of one that the cluster keeps also its text, without what is secret",
            &["kind"],
            schema::<LinkView>,
        ),
        on_link("/api/v1/links/{name}:add", "Have the cluster keep a new link", Some(schema::<LinkRequest>), answer),
        on_link(
            "/api/v1/links/{name}:update",
            "Change it; what is left out stays",
            Some(schema::<LinkRequest>),
            answer,
        ),
        on_link("/api/v1/links/{name}:remove", "Have the cluster forget it", None, answer),
        on_link(
            "/api/v1/links/{name}:test",
            "Open it on a worker or on all, and say for each where it failed. Changes nothing",
            Some(schema::<LinkTestRequest>),
            list_of!("LinkTests", LinkTestView),
        ),
        post(
            "/api/v1/cluster:switch-over",
            "The lead goes to another master",
            Some(schema::<SwitchOverRequest>),
            answer,
        ),
        post(
            "/api/v1/cluster:finalize-upgrade",
            "What only the new version can read may be written from now on",
            None,
            answer,
        ),
        post("/api/v1/cluster/members/{node}:add", "A master that runs becomes a voter", None, answer),
        post("/api/v1/cluster/members/{node}:remove", "A master does not vote any more", None, answer),
        post("/api/v1/workers/{worker}:drain", "No new attempts there", Some(schema::<DrainRequest>), answer),
        Row {
            method: HttpMethod::Get,
            path: "/api/v1/events",
            summary: "Server-sent events; ids are seqs, Last-Event-ID resumes, `reset` says: load the view again",
            query: &["topics", "workflow", "instance", "from"],
            request: None,
            reply: None,
        },
    ]
}

fn document_value() -> OpenApi {
    let mut schemas = Vec::new();
    let mut paths = PathsBuilder::new();
    let problem = schema::<Problem>(&mut schemas);
    for row in rows() {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(operation_id(&row)))
            .summary(Some(row.summary))
            .tag(row.path.trim_start_matches("/api/v1/").split(['/', ':']).next().unwrap_or_default());
        for name in row.path.split(['{', '}']).skip(1).step_by(2) {
            operation = operation.parameter(parameter(name, ParameterIn::Path));
        }
        let freshness: &[&str] = if row.method == HttpMethod::Get { &["min_seq"] } else { &[] };
        for name in row.query.iter().chain(freshness.iter().filter(|name| !row.query.contains(name))) {
            operation = operation.parameter(parameter(name, ParameterIn::Query));
        }
        if row.method == HttpMethod::Post {
            operation = operation.parameter(parameter("Idempotency-Key", ParameterIn::Header));
        }
        if let Some(request) = row.request {
            let name = request(&mut schemas);
            operation = operation
                .request_body(Some(RequestBodyBuilder::new().content("application/json", content(&name)).build()));
        }
        let ok = match row.reply {
            Some(reply) => {
                let name = reply(&mut schemas);
                ResponseBuilder::new().description("The view").content("application/json", content(&name))
            }
            None => ResponseBuilder::new().description("A stream of `EventView`").content("text/event-stream", {
                let name = schema::<EventView>(&mut schemas);
                content(&name)
            }),
        };
        let refused =
            ResponseBuilder::new().description("A refusal").content("application/problem+json", content(&problem));
        operation = operation.response("200", ok.build()).response("default", refused.build());
        paths = paths.path(row.path, PathItem::new(row.method, operation.build()));
    }
    let mut components = ComponentsBuilder::new();
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    components = components.security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Ractorflow")
                .version("v1")
                .description(Some("Reads are GET, changes are POST with an Idempotency-Key. Errors are RFC 9457 problems with a stable `code`. Fields are only ever added."))
                .build(),
        )
        .paths(paths.build())
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

fn operation_id(row: &Row) -> String {
    let verb = if row.method == HttpMethod::Get { "get" } else { "post" };
    let words = row.path.trim_start_matches("/api/v1/").replace(['{', '}'], "");
    format!("{verb}_{}", words.replace(['/', ':', '-'], "_"))
}

fn parameter(name: &str, place: ParameterIn) -> utoipa::openapi::path::Parameter {
    let is_path = matches!(place, ParameterIn::Path);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if is_path { Required::True } else { Required::False })
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

fn content(name: &str) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a described path is served: verbs are dispatched behind `{target}`.
    fn served(path: &str) -> String {
        match path {
            "/api/v1/workflows/{name}" => "/api/v1/workflows/{target}".to_owned(),
            "/api/v1/instances/{instance}" => "/api/v1/instances/{target}".to_owned(),
            "/api/v1/links/{name}" => "/api/v1/links/{target}".to_owned(),
            path => match path.rsplit_once("}:") {
                Some((stem, _)) => format!("{}{{target}}", &stem[..stem.rfind('{').unwrap()]),
                None => path.to_owned(),
            },
        }
    }

    #[test]
    fn every_api_route_is_described_and_every_description_is_served() {
        let mut described: Vec<_> = rows()
            .iter()
            .map(|row| format!("{} {}", if row.method == HttpMethod::Get { "GET" } else { "POST" }, served(row.path)))
            .collect();
        described.sort();
        described.dedup();
        let mut routes: Vec<_> = crate::http::routes::routes()
            .iter()
            .filter(|route| route.path.starts_with("/api/v1/") && route.path != "/api/v1/openapi.json")
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        routes.sort();
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_in_the_document_leads_to_a_schema() {
        let document: serde_json::Value = serde_json::from_str(text()).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut rest = text();
        let mut seen = 0;
        while let Some(at) = rest.find("#/components/schemas/") {
            rest = &rest[at + "#/components/schemas/".len()..];
            let name = &rest[..rest.find('"').unwrap()];
            assert!(schemas.contains_key(name), "{name}");
            seen += 1;
        }
        assert!(seen > 100, "{seen}");
    }
}
