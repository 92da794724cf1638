//! The parameter language by example, and values from outside that try to get out.

mod injection;
mod render;
mod resolve;
mod template;
mod values;

use super::*;
use crate::model::action::TextContext;
use crate::model::assignment::Rendered;
use crate::model::definition::Compat;
use crate::model::id::{InstanceNumber, TriggerId, VersionNumber, WorkflowName};
use crate::model::message::Message;
use crate::model::schedule::{Zone, business_date, parse_datetime};
use crate::model::time::Timestamp;

/// A run of 2026-03-31 01:30 in Shanghai, created five seconds late.
pub(super) struct TestScope {
    pub params: Vec<(String, Value)>,
    pub outputs: Vec<(String, String, Value)>,
    pub compat: Vec<Compat>,
    pub is_timed: bool,
}

pub(super) fn scope(params: &[(&str, Value)]) -> TestScope {
    TestScope {
        params: params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        outputs: vec![("load.a".to_owned(), "rows".to_owned(), Value::definition("12"))],
        compat: Vec::new(),
        is_timed: true,
    }
}

impl Scope for TestScope {
    fn param(&self, name: &str) -> Option<&Value> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn param_names(&self) -> Vec<&str> {
        self.params.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn node_output(&self, node: &str, key: &str) -> Option<Value> {
        self.outputs.iter().find(|(of, named, _)| of == node && named == key).map(|(.., value)| value.clone())
    }

    fn prerequisite_output(&self, workflow: &str, key: &str) -> Result<Value, Message> {
        match (workflow, key) {
            ("ods.orders", "rows") => Ok(Value::definition("7")),
            _ => Err(Message::verbatim(format!("instance #41 of {workflow} has no output \"{key}\""))),
        }
    }

    fn times(&self) -> Times {
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let nominal = zone.instant(parse_datetime("2026-03-31 01:30:00").unwrap());
        let business_date = business_date(nominal, &zone, None);
        Times { nominal, due: nominal.plus_ms(1000), actual: nominal.plus_ms(86_400_000), business_date, zone }
    }

    fn neighbour(&self, which: Neighbour) -> Option<Timestamp> {
        let day = match which {
            Neighbour::Previous => -86_400_000,
            Neighbour::Next => 86_400_000,
        };
        self.is_timed.then(|| self.times().nominal.plus_ms(day))
    }

    fn ids(&self) -> RunIds {
        RunIds {
            workflow: WorkflowName::from("日报"),
            instance: InstanceNumber(42),
            trigger: TriggerId::from("nightly"),
            version: VersionNumber(3),
        }
    }

    fn has(&self, compat: Compat) -> bool {
        self.compat.contains(&compat)
    }
}

pub(super) fn is_node(name: &str) -> bool {
    ["load", "load.a", "数据"].contains(&name)
}

pub(super) fn options(is_strict: bool, context: TextContext) -> ParseOptions<'static> {
    ParseOptions::new(is_strict, context).nodes(&is_node).prerequisites(&|name| name.starts_with("ods"))
}

/// A template without errors.
pub(super) fn template(text: &str, context: TextContext) -> Template {
    let (template, faults) = Template::parse(text, &options(true, context));
    assert!(faults.iter().all(|fault| fault.severity == Severity::Warning), "{text}: {faults:?}");
    template
}

pub(super) fn rendered(text: &str, context: TextContext, scope: &TestScope) -> Result<Rendered, RenderError> {
    template(text, context).render(scope, context, Phase::NodeReady, &mut VariableCounter::default())
}

pub(super) fn plain(text: &str, scope: &TestScope) -> String {
    rendered(text, TextContext::Plain, scope).unwrap_or_else(|error| panic!("{text}: {error}")).text
}
