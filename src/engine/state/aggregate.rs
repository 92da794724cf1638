//! The rows of the store: each aggregate is small, is changed as a whole and has a key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::id::{
    ContentHash, InstanceNumber, Principal, SourceId, TriggerId, VersionNumber, WorkerId, WorkflowName,
};
use crate::model::link::LinkKind;
use crate::model::time::CivilDate;
use crate::model::trigger::{Fact, FireKey, Subject};

use super::super::event::NodeRef;
use super::{
    Attention, Chunk, Closure, Cluster, Fire, Instance, Latch, Link, Node, OwedMail, Request, Source, SourceFile,
    TriggerState, Version, Worker, Workflow,
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateKey {
    Cluster,
    Workflow(WorkflowName),
    Version(WorkflowName, VersionNumber),
    Trigger(WorkflowName, TriggerId),
    Fire(FireKey),
    Latch(WorkflowName, Subject),
    Fact(Subject, CivilDate),
    Closure(u64),
    Instance(InstanceNumber),
    Node(NodeRef),
    Worker(WorkerId),
    Source(SourceId),
    File(SourceId, String),
    Chunk(ContentHash),
    Request(Principal, String),
    Attention(u64),
    Mail(u64),
    Link(LinkKind, String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    Cluster(Cluster),
    Workflow(Workflow),
    Version(Arc<Version>),
    Trigger(TriggerState),
    Fire(Fire),
    Latch(Latch),
    Fact(Fact),
    Closure(Closure),
    Instance(Instance),
    Node(Node),
    Worker(Worker),
    Source(Source),
    File(SourceFile),
    Chunk(Chunk),
    Request(Request),
    Attention(Attention),
    Mail(OwedMail),
    Link(Link),
}

impl Aggregate {
    pub fn key(&self) -> AggregateKey {
        match self {
            Aggregate::Cluster(_) => AggregateKey::Cluster,
            Aggregate::Workflow(row) => AggregateKey::Workflow(row.name.clone()),
            Aggregate::Version(row) => AggregateKey::Version(row.workflow.clone(), row.number),
            Aggregate::Trigger(row) => AggregateKey::Trigger(row.workflow.clone(), row.id.clone()),
            Aggregate::Fire(row) => AggregateKey::Fire(row.key.clone()),
            Aggregate::Latch(row) => AggregateKey::Latch(row.workflow.clone(), row.fact.subject.clone()),
            Aggregate::Fact(row) => AggregateKey::Fact(row.subject.clone(), row.business_date),
            Aggregate::Closure(row) => AggregateKey::Closure(row.id),
            Aggregate::Instance(row) => AggregateKey::Instance(row.number),
            Aggregate::Node(row) => AggregateKey::Node(row.id),
            Aggregate::Worker(row) => AggregateKey::Worker(row.name.clone()),
            Aggregate::Source(row) => AggregateKey::Source(row.id.clone()),
            Aggregate::File(row) => AggregateKey::File(row.source.clone(), row.path.clone()),
            Aggregate::Chunk(row) => AggregateKey::Chunk(row.hash.clone()),
            Aggregate::Request(row) => AggregateKey::Request(row.by.clone(), row.key.clone()),
            Aggregate::Attention(row) => AggregateKey::Attention(row.number),
            Aggregate::Mail(row) => AggregateKey::Mail(row.number),
            Aggregate::Link(row) => AggregateKey::Link(row.link.kind, row.link.name.clone()),
        }
    }
}
