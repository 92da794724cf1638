//! `<coordinator>`: triggers, prerequisites, windows, policies.

use std::collections::BTreeSet;

use super::code::Code;
use super::read::Reader;
use super::sink::Fault;
use super::source::Span;
use super::tree::Element;
use super::value;
use super::workflow::value as text_of;
use crate::model::duration::Millis;
use crate::model::id::{TriggerId, WorkflowName};
use crate::model::message::Value;
use crate::model::parameter::ParamDeclaration;
use crate::model::policy::{DstFold, DstGap, Misfire, Overlap, QueueOrder, parse_bool};
use crate::model::schedule::{Cron, Shift, Zone, next_fire, parse_datetime};
use crate::model::time::Timestamp;
use crate::model::trigger::{Coordinator, MisfirePolicy, Prerequisite, Trigger, TriggerSource, Window};
use crate::say;

/// What triggers take from the elements around them.
struct Outer {
    zone: Option<Zone>,
    window: Window,
    dst_gap: DstGap,
    dst_fold: DstFold,
}

impl Reader<'_> {
    /// Reads what the tables have checked; says what they cannot.
    pub fn coordinator(&self, element: &Element<'_>, zone: Option<Zone>, workflow: &str) -> Coordinator {
        let zone = zone_of(element).or(zone);
        let outer = Outer {
            zone,
            window: self.window(element, zone),
            dst_gap: word(element, "dst-gap", DstGap::from_word).unwrap_or(DstGap::RunAfter),
            dst_fold: word(element, "dst-fold", DstFold::from_word).unwrap_or(DstFold::First),
        };
        let mut triggers = self.triggers(element, &outer);
        triggers.extend(self.depend_crons(element, &outer));
        self.check_ids(element);
        Coordinator {
            is_enabled: text_of(element, "is-enabled").and_then(|text| parse_bool(&text).ok()).unwrap_or(true),
            window: outer.window,
            zone: outer.zone,
            business_date: text_of(element, "business-date").and_then(|text| Shift::parse(&text).ok()),
            overlap: word(element, "overlap", Overlap::from_word).unwrap_or(Overlap::Queue),
            queue_order: word(element, "queue-order", QueueOrder::from_word).unwrap_or(QueueOrder::Fifo),
            queue_limit: number(element, "queue-limit"),
            misfire: misfire(element),
            triggers,
            prerequisites: self.prerequisites(element, workflow),
        }
    }

    fn triggers(&self, element: &Element<'_>, outer: &Outer) -> Vec<Trigger> {
        element.named("trigger").filter_map(|trigger| self.trigger(trigger, outer)).collect()
    }

    fn trigger(&self, element: &Element<'_>, outer: &Outer) -> Option<Trigger> {
        let zone = zone_of(element).or(outer.zone);
        let source = self.source(element)?;
        let trigger = Trigger {
            id: TriggerId::from(text_of(element, "id").unwrap_or_else(|| "default".to_owned())),
            source,
            window: self.window(element, zone).intersect(&outer.window),
            zone,
            dst_gap: word(element, "dst-gap", DstGap::from_word).unwrap_or(outer.dst_gap),
            dst_fold: word(element, "dst-fold", DstFold::from_word).unwrap_or(outer.dst_fold),
            jitter: duration(element, "jitter").unwrap_or_default(),
            params: self.trigger_params(element),
        };
        self.check_jitter(element, &trigger);
        self.check_past(element, &trigger);
        Some(trigger)
    }

    fn trigger_params(&self, element: &Element<'_>) -> Vec<ParamDeclaration> {
        let mut params: Vec<ParamDeclaration> = Vec::new();
        for param in element.named("param") {
            let Some(name) = text_of(param, "name") else { continue };
            let value = param
                .attribute("value")
                .map(|value| self.quiet(&value.value.value, crate::model::action::TextContext::Plain));
            params.retain(|other| other.name != name);
            params.push(ParamDeclaration::string(name, value));
        }
        params
    }

    /// Exactly one of the sources, with the attributes that belong to it.
    fn source(&self, element: &Element<'_>) -> Option<TriggerSource> {
        const SOURCES: [&str; 3] = ["cron", "every", "at"];
        /// Told as words that are not in this build; the trigger does say when it fires.
        const NOT_BUILT: [&str; 3] = ["after-end", "event", "file"];
        if NOT_BUILT.iter().any(|word| element.attribute(word).is_some()) {
            return None;
        }
        let given: Vec<&str> = SOURCES.into_iter().filter(|word| element.attribute(word).is_some()).collect();
        let [source] = given[..] else {
            let (message, hint) = match given.as_slice() {
                [] => (say!("the trigger says not when it fires"), say!("give it one of cron, every, at")),
                _ => (say!("the trigger has {} at once", Value::list(&given)), say!("make a trigger of each")),
            };
            self.push(Fault::new(Code::TriggerSource, element.span, message).hint(hint));
            return None;
        };
        for (attribute, owner) in [("seconds", "cron"), ("anchor", "every")] {
            if let Some(attribute) = element.attribute(attribute).filter(|_| owner != source) {
                let message = say!("attribute {} belongs to {}, not to {}", attribute.name, owner, source);
                self.push(Fault::new(Code::SecondsWithoutCron, attribute.name_span, message));
            }
        }
        match source {
            "cron" => {
                let (cron, _) = Cron::parse(&text_of(element, "cron")?, self.is_strict).ok()?;
                let seconds = match text_of(element, "seconds") {
                    Some(text) => value::seconds(&text).ok()?,
                    None => vec![0],
                };
                Some(TriggerSource::Cron { cron, seconds })
            }
            "every" => self.every(element),
            _ => Some(TriggerSource::At { at: parse_datetime(&text_of(element, "at")?).ok()? }),
        }
    }

    fn every(&self, element: &Element<'_>) -> Option<TriggerSource> {
        let attribute = element.attribute("every")?;
        let period = Millis::parse(&attribute.value.value).ok()?;
        if period < Millis::seconds(1) {
            let message = say!("every must be at least 1s, not {}", period.to_string());
            self.push(Fault::new(Code::BadValue, attribute.value.trimmed_span(), message));
            return None;
        }
        let anchor = match text_of(element, "anchor") {
            Some(text) => Some(parse_datetime(&text).ok()?),
            None => None,
        };
        Some(TriggerSource::Every { period, anchor })
    }

    /// A jitter must not carry a fire over the next one.
    fn check_jitter(&self, element: &Element<'_>, trigger: &Trigger) {
        let Some(attribute) = element.attribute("jitter").filter(|_| trigger.jitter > Millis(0)) else { return };
        let Some(period) = shortest_period(trigger, &self.zone).filter(|period| trigger.jitter >= *period) else {
            return;
        };
        let message =
            say!("the jitter {} is not shorter than the period {}", trigger.jitter.to_string(), period.to_string());
        self.push(Fault::new(Code::JitterTooLong, attribute.value.trimmed_span(), message));
    }

    /// A single time that is past never fires.
    fn check_past(&self, element: &Element<'_>, trigger: &Trigger) {
        let (Some(now), TriggerSource::At { at }) = (self.now, &trigger.source) else { return };
        let is_past = trigger.zone.unwrap_or(self.zone).instant(*at) <= now;
        if let Some(attribute) = element.attribute("at").filter(|_| is_past) {
            let message = say!("{} is past, so the trigger never fires", at.to_string());
            self.push(Fault::new(Code::PastTime, attribute.value.trimmed_span(), message));
        }
    }

    fn check_ids(&self, element: &Element<'_>) {
        let mut seen: Vec<String> = Vec::new();
        for trigger in element.named("trigger") {
            let (id, span) = match trigger.attribute("id") {
                Some(attribute) => (attribute.value.value.trim().to_owned(), attribute.value.trimmed_span()),
                None => (String::new(), trigger.span),
            };
            if is_reserved(&id) {
                let message = say!("the trigger id \"{}\" is reserved", id);
                self.push(Fault::new(Code::TriggerId, span, message));
            } else if seen.contains(&id) {
                let message = match id.as_str() {
                    "" => say!("two triggers have no id"),
                    _ => say!("two triggers have the id \"{}\"", id),
                };
                let hint = say!("ids carry what has fired, so each trigger needs its own");
                self.push(Fault::new(Code::TriggerId, span, message).hint(hint));
            }
            seen.push(id);
        }
    }

    /// The cron of each `<depend-list>` is a trigger: `cron`, `cron-2`, ….
    fn depend_crons(&self, element: &Element<'_>, outer: &Outer) -> Vec<Trigger> {
        let lists: Vec<_> = element.named("depend-list").collect();
        if let Some(second) = lists.get(1) {
            let message = say!("the coordinator has several depend-lists: all of them must be met, each cron fires");
            let fault = Fault::new(Code::SeveralDependLists, second.span, message);
            self.push(fault.note(say!("akkaflow ignores all crons then")));
        }
        let crons = lists.iter().filter_map(|list| Cron::parse(&text_of(list, "cron")?, self.is_strict).ok());
        crons
            .enumerate()
            .map(|(at, (cron, _))| Trigger {
                id: match at {
                    0 => TriggerId::from("cron"),
                    _ => TriggerId::from(format!("cron-{}", at + 1)),
                },
                source: TriggerSource::Cron { cron, seconds: vec![0] },
                window: outer.window,
                zone: outer.zone,
                dst_gap: outer.dst_gap,
                dst_fold: outer.dst_fold,
                jitter: Millis::default(),
                params: Vec::new(),
            })
            .collect()
    }

    fn prerequisites(&self, element: &Element<'_>, workflow: &str) -> Vec<Prerequisite> {
        let mut found: Vec<Prerequisite> = Vec::new();
        for leaf in element.named("depend-list").flat_map(|list| list.named("workflow")) {
            let Some((name, span)) = name_of(leaf) else { continue };
            if name == workflow {
                let message = say!("workflow \"{}\" waits for itself, so it would never start", name);
                self.push(Fault::new(Code::SelfDependency, span, message));
                continue;
            }
            if found.iter().any(|other| other.workflow.as_str() == name) {
                let message = say!("the prerequisite \"{}\" is given twice", name);
                self.push(Fault::new(Code::DuplicatePrerequisite, span, message));
                continue;
            }
            self.check_known(&name, span);
            found.push(Prerequisite { workflow: WorkflowName::from(name) });
        }
        found
    }

    /// Files are loaded in any order, so only `check` may call it an error.
    fn check_known(&self, name: &str, span: Span) {
        let Some(known) = self.known_workflows.filter(|known| !known.contains(name)) else { return };
        let message = say!("there is no workflow \"{}\"", name);
        let fault = Fault::new(Code::UnknownPrerequisite, span, message).error_if(self.is_check);
        self.push(fault.suggest(name, known.iter().map(String::as_str)));
    }

    fn window(&self, element: &Element<'_>, zone: Option<Zone>) -> Window {
        let zone = zone.unwrap_or(self.zone);
        let instant = |name: &str| Some(zone.instant(parse_datetime(&text_of(element, name)?).ok()?));
        let window = Window { from: instant("start-time"), to: instant("end-time") };
        if let (Some(from), Some(to), Some(attribute)) = (window.from, window.to, element.attribute("end-time"))
            && to < from
        {
            let message = say!("end-time is before start-time, so nothing ever fires");
            self.push(Fault::new(Code::BadWindow, attribute.value.trimmed_span(), message));
        }
        window
    }
}

/// The workflows that the file waits for, before anything else of it is read.
pub(super) fn prerequisite_names(root: &Element<'_>) -> BTreeSet<String> {
    let lists = used(root).into_iter().flat_map(|element| element.named("depend-list"));
    lists.flat_map(|list| list.named("workflow")).filter_map(|leaf| text_of(leaf, "name")).collect()
}

/// Does the file say times to fire at?
pub(super) fn has_times(root: &Element<'_>) -> bool {
    let Some(element) = used(root) else { return false };
    let is_timed = |list: &Element<'_>| list.attribute("cron").is_some();
    element.named("trigger").next().is_some() || element.named("depend-list").any(is_timed)
}

/// The coordinator, unless there are several: then none is used.
fn used<'e, 's>(root: &'e Element<'s>) -> Option<&'e Element<'s>> {
    let mut coordinators = root.named("coordinator");
    coordinators.next().filter(|_| coordinators.next().is_none())
}

/// The least time between the next fires; `None` for a single one.
fn shortest_period(trigger: &Trigger, zone: &Zone) -> Option<Millis> {
    /// 2024-01-01T00:00:00Z: any instant will do, it must only be fixed.
    const FROM: Timestamp = Timestamp(1_704_067_200_000);
    const FIRES: usize = 20;
    let trigger = Trigger { window: Window::default(), ..trigger.clone() };
    let mut fires = std::iter::successors(Some(FROM), |after| next_fire(&trigger, zone, *after)).skip(1).take(FIRES);
    let mut before = fires.next()?;
    let mut shortest = None;
    for fire in fires {
        let period = Millis(fire.since(before));
        shortest = Some(shortest.map_or(period, |shortest: Millis| shortest.min(period)));
        before = fire;
    }
    shortest
}

fn is_reserved(id: &str) -> bool {
    let is_cron_number = |id: &str| id.strip_prefix("cron-").is_some_and(|n| n.parse::<u32>().is_ok());
    matches!(id, "cron" | "default" | "depend" | "manual" | "sub" | "backfill") || is_cron_number(id)
}

fn name_of(element: &Element<'_>) -> Option<(String, Span)> {
    Some((text_of(element, "name")?, element.attribute("name")?.value.trimmed_span()))
}

fn zone_of(element: &Element<'_>) -> Option<Zone> {
    Zone::parse(&text_of(element, "time-zone")?).ok()
}

fn word<T>(element: &Element<'_>, name: &str, read: fn(&str) -> Option<T>) -> Option<T> {
    read(&text_of(element, name)?)
}

fn number(element: &Element<'_>, name: &str) -> Option<u32> {
    text_of(element, name)?.parse().ok()
}

fn duration(element: &Element<'_>, name: &str) -> Option<Millis> {
    Millis::parse(&text_of(element, name)?).ok()
}

fn misfire(element: &Element<'_>) -> MisfirePolicy {
    let default = MisfirePolicy::default();
    MisfirePolicy {
        policy: word(element, "misfire", Misfire::from_word).unwrap_or(default.policy),
        window: duration(element, "misfire-window").unwrap_or(default.window),
        max: number(element, "misfire-max").unwrap_or(default.max),
        grace: duration(element, "misfire-grace").unwrap_or(default.grace),
    }
}
