//! `/akkaflow/cluster`.

use axum::response::Response;
use serde_json::{Value, json};

use crate::api::{ClusterView, Query};
use crate::expect_reply;
use crate::http::problem::bad_request;
use crate::say;

use super::{Asked, Told, answered};

/// The root of the tree.
const TOP: &str = "top";

pub async fn cluster(asked: Asked) -> Response {
    answered(match asked.action() {
        "get" => tree(&asked).await,
        "shutdown" => Err(bad_request(say!("a cluster is not stopped over HTTP"))
            .hint(say!("./sbin/stop-cluster on its hosts stops it, and asks what happens to running tasks"))),
        _ => asked.unknown_action("get, shutdown"),
    })
}

async fn tree(asked: &Asked) -> Told {
    let view = expect_reply!(asked.app.ask(Query::Cluster).await?, Cluster)?;
    Ok((say!("the processes of the cluster"), Some(Value::Array(rows(&view)))))
}

/// akkaflow's tree as a flat list, each row with its parent: the root, and below it a row for each role of a process.
fn rows(view: &ClusterView) -> Vec<Value> {
    let row = |name: &str, ip: &str, port: u16, kind: &str, parent: &str| json!({"name": name, "ip": ip, "port": port, "atype": kind, "pname": parent});
    let mut rows = vec![row(TOP, "", 0, "2", "")];
    for node in &view.nodes {
        let address = node.address.as_deref().unwrap_or_default();
        let (ip, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let roles = node.roles.iter().map(|role| match (role.as_str(), node.leader) {
            ("master", false) => "master-standby",
            ("http", _) => "http-server",
            (role, _) => role,
        });
        rows.extend(roles.map(|role| row(&format!("{role}:{}", node.id), ip, port.parse().unwrap_or(0), "0", TOP)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ClusterNodeView;
    use crate::model::message::Message;

    #[test]
    fn akka_16_every_role_is_a_row_below_the_root() {
        let node = |id: &str, role: &str, leader, address: Option<&str>| ClusterNodeView {
            id: id.to_owned(),
            roles: vec![role.to_owned()],
            leader,
            address: address.map(str::to_owned),
            ..ClusterNodeView::default()
        };
        let view = ClusterView {
            http: String::new(),
            nodes: vec![
                node("m1", "master", true, Some("10.0.0.1:2751")),
                node("m2", "master", false, Some("[::1]:2752")),
                node("w1", "worker", false, None),
                node("h1", "http", false, Some("127.0.0.1:8090")),
            ],
            name: String::new(),
            version: String::new(),
            leader: None,
            epoch: 1,
            seq: 1,
            feature_level: 0,
            feature_level_possible: None,
            votes: 2,
            voters: 2,
            verdict: Message::verbatim(""),
            is_healthy: true,
            workers: Vec::new(),
            events: Vec::new(),
            events_before: None,
        };
        let rows = rows(&view);
        let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
        assert_eq!(names, ["top", "master:m1", "master-standby:m2", "worker:w1", "http-server:h1"]);
        assert_eq!(rows[1], json!({"name": "master:m1", "ip": "10.0.0.1", "port": 2751, "atype": "0", "pname": "top"}));
        assert_eq!((rows[2]["ip"].as_str(), rows[2]["port"].as_u64()), (Some("[::1]"), Some(2752)));
        assert_eq!((rows[3]["ip"].as_str(), rows[3]["port"].as_u64()), (Some(""), Some(0)));
    }
}
