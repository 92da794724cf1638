//! The words of the language: elements, attributes, shapes, defaults, meaning. One table for everything.
//!
//! Reading, unknown-word suggestions, the XSD, the word list of docs/xml.md and tests/grammar.tsv are driven by
//! it. The words inside an action's type element come from the `ActionSpec`s. Start reading at `WORKFLOW`.
//! `desc` is allowed on every element and therefore in no table.

use crate::model::action::TextContext::{Argument, Authority, Constant, Plain};
use crate::model::action::{AttributeSpec, ElementSpec, Occurs, TextContext, TextSpec, ValueShape};
use crate::model::definition::Compat;
use crate::model::policy;

/// Names of the root element.
pub const ROOTS: &[&str] = &["work-flow", "workflow"];

/// Words of akkaflow and of this language for `mail-level`, with the levels they mean.
pub const MAIL_LEVELS: &[&str] = &[
    "queued",
    "running",
    "succeeded",
    "failed",
    "killed",
    "W_PREP",
    "W_RUNNING",
    "W_SUCCESSED",
    "W_FAILED",
    "W_KILLED",
    "就绪",
    "运行中",
    "成功",
    "失败",
    "杀死",
];

pub const VALUE_TYPES: &[&str] =
    &["string", "text", "int", "decimal", "bool", "date", "datetime", "duration", "enum", "list"];

/// Words described for the language that this build does not have: (element, attributes, children).
pub const NOT_BUILT: &[(&str, &[&str], &[&str])] = &[
    (
        "work-flow",
        &[
            "calendar",
            "priority",
            "timeout",
            "timeout-action",
            "failure-strategy",
            "keep",
            "keep-runs",
            "pools",
            "mutex",
        ],
        &["decision", "finally", "deadline", "notify", "retry"],
    ),
    ("coordinator", &["calendar", "previous", "pause-after-failures"], &[]),
    (
        "trigger",
        &[
            "after-end",
            "event",
            "file",
            "file-link",
            "done-flag",
            "stable",
            "poll",
            "min-num",
            "min-each-size",
            "calendar",
            "when-closed",
            "working-day",
            "working-day-of",
        ],
        &[],
    ),
    ("depend-list", &["need", "wait-limit", "on-wait-limit"], &["group", "asset", "event", "file"]),
    ("workflow", &["node", "state", "date", "period", "offset", "pick", "calendar"], &[]),
    ("param", &["from"], &[]),
    ("start", &["breakpoint"], &[]),
    ("end", &["breakpoint"], &[]),
    ("fork", &["breakpoint"], &[]),
    ("join", &["rule", "test", "cancel-rest", "breakpoint"], &[]),
    ("kill", &["breakpoint"], &[]),
    ("env", &["file"], &[]),
    ("retry", &["from"], &[]),
    (
        "action",
        &[
            "queue-timeout",
            "choose",
            "priority",
            "pools",
            "mutex",
            "run-as",
            "work-dir",
            "environment",
            "nice",
            "keep-work-dir",
            "log-encoding",
            "log-limit",
            "allow-failure",
            "skip-if",
            "delay",
            "breakpoint",
            "produces",
            "previous",
            "cache-key",
            "cache-for",
            "template",
        ],
        &[
            "sub-workflow",
            "wait",
            "approval",
            "docker",
            "k8s-job",
            "plugin",
            "preset",
            "limits",
            "clean",
            "for-each",
            "repeat",
            "deadline",
            "notify",
            "param",
            "artifact",
            "use-artifact",
        ],
    ),
    ("code", &["file"], &[]),
    ("sql", &["file", "bind"], &[]),
];

/// Values of built attributes that this build does not have: (element, attribute, value).
const VALUES_NOT_BUILT: &[(&str, &str, &str)] = &[("param", "type", "secret")];

/// Roots described for the language that this build does not have.
pub const ROOTS_NOT_BUILT: &[&str] = &["calendar", "defaults", "template", "resources"];

pub const WORKFLOW: ElementSpec = ElementSpec {
    word: "work-flow",
    occurs: Occurs::One,
    attributes: &[
        required(
            "name",
            ValueShape::Name,
            "The workflow's name, unique in the cluster. 1 to 128 characters, Chinese allowed.",
        ),
        optional(
            "schema",
            ValueShape::Choice(&["1"]),
            None,
            "1 makes the file strict: words that are not known are errors.",
        ),
        rendered("creator", ValueShape::AnyText, Some("Unknown"), Plain, "Who wrote it."),
        optional("create-time", ValueShape::DateTime, None, "When it was written. Shown, nothing more."),
        rendered("owner", ValueShape::AnyText, Some("creator"), Plain, "Who answers for it."),
        rendered("tags", ValueShape::BlankList, None, Plain, "For filters and permissions."),
        rendered("dir", ValueShape::AnyText, Some("/tmp"), Plain, "Its place in the tree of workflows."),
        rendered(
            "mail-level",
            ValueShape::Choices { words: MAIL_LEVELS, may_be_blank: true },
            Some("failed"),
            Plain,
            "Which ends are mailed. Blank = none.",
        ),
        rendered("mail-receivers", ValueShape::BlankList, None, Plain, "Who gets the mail."),
        rendered(
            "instance-limit",
            ValueShape::Integer { min: 1 },
            Some("1"),
            Plain,
            "Instances that run at once; more wait by overlap.",
        ),
        ZONE,
        optional(
            "on-delete",
            ValueShape::Choice(policy::OnDelete::WORDS),
            None,
            "What becomes of the workflow when its file goes. Default: as configured.",
        ),
        optional(
            "compat",
            ValueShape::Choices { words: Compat::WORDS, may_be_blank: true },
            None,
            "akkaflow's behaviour where it differs.",
        ),
    ],
    children: &[COORDINATOR, PARAM_LIST, START, END, FORK, JOIN, KILL, ACTION, ENV, OUTPUT, DOC],
    text: TextSpec::None,
    doc: "A workflow. The root may also be written workflow.",
};

pub const COORDINATOR: ElementSpec = ElementSpec {
    word: "coordinator",
    // At most one: with two none is used, as in akkaflow.
    occurs: Occurs::Many,
    attributes: &[
        optional(
            "is-enabled",
            ValueShape::BlankBool,
            Some("true"),
            "Fires by itself. An operator's enable or disable lasts until this value changes.",
        ),
        optional("start-time", ValueShape::DateTime, None, "Nothing fires before."),
        optional("end-time", ValueShape::DateTime, None, "Nothing fires after."),
        optional(
            "business-date",
            ValueShape::Shift,
            None,
            "Shifts the local date of the nominal time to the date the data is of, for example -1 day.",
        ),
        ZONE,
        DST_GAP,
        DST_FOLD,
        optional(
            "overlap",
            ValueShape::Choice(policy::Overlap::WORDS),
            Some("queue"),
            "What a fire does while instance-limit instances run.",
        ),
        optional(
            "queue-order",
            ValueShape::Choice(policy::QueueOrder::WORDS),
            Some("fifo"),
            "Which of the waiting goes first.",
        ),
        optional(
            "queue-limit",
            ValueShape::Integer { min: 0 },
            None,
            "Most fires and instances that wait; further fires are skipped. Default: as configured.",
        ),
        optional(
            "misfire",
            ValueShape::Choice(policy::Misfire::WORDS),
            Some("last"),
            "Which of the fires are made up that were missed while no master led.",
        ),
        optional("misfire-window", ValueShape::Duration, Some("7d"), "How far back they are made up."),
        optional("misfire-max", ValueShape::Integer { min: 0 }, Some("100"), "At most so many."),
        optional("misfire-grace", ValueShape::Duration, Some("60s"), "Later than this is missed."),
    ],
    children: &[TRIGGER, DEPEND_LIST, PARAM_LIST],
    text: TextSpec::None,
    doc: "When and how the workflow starts by itself.",
};

pub const TRIGGER: ElementSpec = ElementSpec {
    word: "trigger",
    occurs: Occurs::Many,
    attributes: &[
        optional(
            "id",
            ValueShape::Name,
            Some("default"),
            "Its name; needed when there are several. It carries what has fired.",
        ),
        CRON,
        optional("seconds", ValueShape::Seconds, Some("0"), "With cron: the seconds of each minute, a list or */n."),
        optional("every", ValueShape::Duration, None, "Fixed rate of at least 1s, in elapsed time from anchor."),
        optional(
            "anchor",
            ValueShape::DateTime,
            Some("2000-01-01 00:00:00"),
            "With every: where the rate counts from.",
        ),
        optional("at", ValueShape::DateTime, None, "Once."),
        optional("start-time", ValueShape::DateTime, None, "Nothing fires before; together with the coordinator's."),
        optional("end-time", ValueShape::DateTime, None, "Nothing fires after; together with the coordinator's."),
        ZONE,
        DST_GAP,
        DST_FOLD,
        optional(
            "jitter",
            ValueShape::Duration,
            Some("0"),
            "Starts up to so much later, always the same for one fire.",
        ),
    ],
    children: &[ElementSpec {
        word: "param",
        occurs: Occurs::Many,
        attributes: &[
            required("name", ValueShape::Name, "The parameter."),
            rendered("value", ValueShape::AnyText, None, Plain, "Its value for this trigger's instances."),
        ],
        children: &[],
        text: TextSpec::None,
        doc: "A parameter for the instances of this trigger.",
    }],
    text: TextSpec::None,
    doc: "One schedule: exactly one of cron, every, at.",
};

pub const DEPEND_LIST: ElementSpec = ElementSpec {
    word: "depend-list",
    occurs: Occurs::Many,
    attributes: &[CRON],
    children: &[ElementSpec {
        word: "workflow",
        occurs: Occurs::Many,
        attributes: &[required("name", ValueShape::Name, "The workflow that must have succeeded since the last fire.")],
        children: &[],
        text: TextSpec::None,
        doc: "A workflow that must succeed first.",
    }],
    text: TextSpec::None,
    doc: "What must happen before the workflow starts; with cron both.",
};

pub const PARAM_LIST: ElementSpec = ElementSpec {
    word: "param-list",
    occurs: Occurs::Many,
    attributes: &[],
    children: &[PARAM],
    text: TextSpec::None,
    doc: "Parameters, in order: a value may use earlier ones, a later name wins.",
};

pub const PARAM: ElementSpec = ElementSpec {
    word: "param",
    occurs: Occurs::Many,
    attributes: &[
        required("name", ValueShape::Name, "Its name, used as ${param:name}."),
        rendered("value", ValueShape::AnyText, None, Plain, "Its value; may use earlier parameters and times."),
        optional("type", ValueShape::Choice(VALUE_TYPES), Some("string"), "A value of another type is refused."),
        optional("required", ValueShape::Bool, Some("false"), "The caller must give it when it has no value."),
        optional("min", ValueShape::Text, None, "Least value; for strings least length."),
        optional("max", ValueShape::Text, None, "Greatest value; for strings greatest length."),
        optional("pattern", ValueShape::Regex, None, "Regular expression for the whole value."),
        optional("choices", ValueShape::List, None, "With type enum: what it may be."),
        optional("label", ValueShape::AnyText, None, "Shown in forms."),
        optional("order", ValueShape::Integer { min: i32::MIN as i64 }, None, "Place in forms."),
        optional("external", ValueShape::Choice(&["allow", "deny"]), Some("allow"), "May a caller set it?"),
        optional(
            "splice",
            ValueShape::Choice(&["checked", "verbatim"]),
            Some("checked"),
            "verbatim: callers' values go into code as they are.",
        ),
    ],
    children: &[],
    text: TextSpec::None,
    doc: "A parameter.",
};

pub const START: ElementSpec = ElementSpec {
    word: "start",
    // Exactly one; counted with a message of its own.
    occurs: Occurs::Many,
    attributes: &[NODE_NAME, TO],
    children: &[],
    text: TextSpec::None,
    doc: "Where an instance begins. Exactly one.",
};

pub const END: ElementSpec = ElementSpec {
    word: "end",
    occurs: Occurs::Many,
    attributes: &[NODE_NAME],
    children: &[],
    text: TextSpec::None,
    doc: "The instance succeeds when it gets here; what still runs is stopped. At least one.",
};

pub const FORK: ElementSpec = ElementSpec {
    word: "fork",
    occurs: Occurs::Many,
    attributes: &[NODE_NAME],
    children: &[ElementSpec {
        word: "path",
        occurs: Occurs::OneOrMore,
        attributes: &[TO],
        children: &[],
        text: TextSpec::None,
        doc: "One of the ways.",
    }],
    text: TextSpec::None,
    doc: "Goes on in several ways at once.",
};

pub const JOIN: ElementSpec = ElementSpec {
    word: "join",
    occurs: Occurs::Many,
    attributes: &[NODE_NAME, TO],
    children: &[],
    text: TextSpec::None,
    doc: "Goes on when every way that can still arrive has arrived.",
};

pub const KILL: ElementSpec = ElementSpec {
    word: "kill",
    occurs: Occurs::Many,
    attributes: &[
        NODE_NAME,
        rendered(
            "result",
            ValueShape::Choice(policy::KillResult::WORDS),
            Some("killed"),
            Plain,
            "What the instance becomes.",
        ),
    ],
    children: &[ElementSpec {
        word: "message",
        occurs: Occurs::Optional,
        attributes: &[],
        children: &[],
        text: TextSpec::Optional(Plain),
        doc: "Why; shown, logged and mailed.",
    }],
    text: TextSpec::None,
    doc: "Ends the instance here.",
};

pub const ACTION: ElementSpec = ElementSpec {
    word: "action",
    occurs: Occurs::Many,
    attributes: &[
        NODE_NAME,
        rendered("host", ValueShape::Text, Some("-1"), Authority, "Name or address of the worker's host; -1 = any."),
        rendered(
            "workers",
            ValueShape::List,
            None,
            Authority,
            "Labels the worker must have; !x excludes, k=v is allowed.",
        ),
        rendered("is-ignore", ValueShape::Bool, Some("false"), Plain, "Skip it and go to ok."),
        rendered("retry-times", ValueShape::Integer { min: 0 }, Some("0"), Plain, "Further tries after a failure."),
        rendered("interval", ValueShape::Duration, Some("0"), Plain, "Time before the next try."),
        rendered(
            "lost-retry-times",
            ValueShape::Integer { min: 0 },
            Some("3"),
            Plain,
            "Further tries after the worker was lost.",
        ),
        rendered(
            "on-lost",
            ValueShape::Choice(policy::OnLost::WORDS),
            Some("retry"),
            Plain,
            "When the worker is lost: start again, ask a person, or fail (never a second start).",
        ),
        rendered(
            "on-isolation",
            ValueShape::Choice(policy::OnIsolation::WORDS),
            Some("stop"),
            Plain,
            "At the end of its lease: the task is ended, or goes on and is never given up because of silence.",
        ),
        rendered(
            "timeout",
            ValueShape::OptionalDuration,
            Some("-1"),
            Plain,
            "Over all tries from the first start; then timed_out and the error edge.",
        ),
        rendered(
            "timeout-action",
            ValueShape::Choice(policy::TimeoutAction::WORDS),
            Some("fail"),
            Plain,
            "What the timeout does.",
        ),
        rendered(
            "attempt-timeout",
            ValueShape::OptionalDuration,
            Some("-1"),
            Plain,
            "Of one try; then that try has failed.",
        ),
        rendered(
            "lease",
            ValueShape::Duration,
            None,
            Plain,
            "How long it may run while its worker hears no master; then it may start elsewhere. At least 10s. Default: lease_ms of [worker].",
        ),
        rendered("slots", ValueShape::Integer { min: 1 }, Some("1"), Plain, "Worker slots it takes."),
    ],
    children: &[
        ElementSpec {
            word: "ok",
            occurs: Occurs::One,
            attributes: &[TO],
            children: &[],
            text: TextSpec::None,
            doc: "Where success leads.",
        },
        ElementSpec {
            word: "error",
            // Used only when there is exactly one with `to`, as in akkaflow; checked with a message of its own.
            occurs: Occurs::Many,
            attributes: &[optional("to", ValueShape::AnyText, None, "The next node's name.")],
            children: &[],
            text: TextSpec::None,
            doc: "Where failure and timeout lead. Without it the instance fails.",
        },
        RETRY,
        ENV,
    ],
    text: TextSpec::None,
    doc: "A task. Its first element is its type.",
};

pub const RETRY: ElementSpec = ElementSpec {
    word: "retry",
    occurs: Occurs::Optional,
    attributes: &[
        rendered("times", ValueShape::Integer { min: 0 }, Some("0"), Plain, "Further tries after a failure."),
        rendered("interval", ValueShape::Duration, Some("0"), Plain, "Time before the next try."),
        rendered(
            "backoff",
            ValueShape::Choice(policy::Backoff::WORDS),
            Some("fixed"),
            Plain,
            "exponential: the interval grows by factor each time.",
        ),
        rendered("factor", ValueShape::Tenths { min: 10, max: 100 }, Some("2"), Plain, "1 to 10, one decimal."),
        rendered("max-interval", ValueShape::Duration, Some("1h"), Plain, "The interval grows no further."),
        rendered(
            "jitter",
            ValueShape::Percent { max: 100 },
            Some("0%"),
            Plain,
            "Moves the interval, always the same for one try.",
        ),
        rendered("on-exit", ValueShape::ExitCodes, None, Plain, "Only after these exit codes."),
        rendered("not-on-exit", ValueShape::ExitCodes, None, Plain, "Never after these exit codes."),
        rendered("on-match", ValueShape::Regex, None, Plain, "Only when the message or the end of stderr matches."),
        rendered(
            "not-on-match",
            ValueShape::Regex,
            None,
            Plain,
            "Never when the message or the end of stderr matches.",
        ),
        rendered("on-timeout", ValueShape::Bool, Some("true"), Plain, "Also after attempt-timeout."),
    ],
    children: &[],
    text: TextSpec::None,
    doc: "When and how a failed action is tried again.",
};

pub const ENV: ElementSpec = ElementSpec {
    word: "env",
    occurs: Occurs::Many,
    attributes: &[
        required("name", ValueShape::Text, "The variable; RF_… are ours."),
        AttributeSpec { is_required: true, ..rendered("value", ValueShape::AnyText, None, Argument, "Its value.") },
    ],
    children: &[],
    text: TextSpec::None,
    doc: "An environment variable of all actions, or of one.",
};

pub const OUTPUT: ElementSpec = ElementSpec {
    word: "output",
    occurs: Occurs::Many,
    attributes: &[
        required("name", ValueShape::Text, "The output's name."),
        AttributeSpec {
            is_required: true,
            ..rendered("value", ValueShape::AnyText, None, Plain, "Its value, usually ${node:NAME.KEY}.")
        },
    ],
    children: &[],
    text: TextSpec::None,
    doc: "An output of the instance, resolved when it succeeds.",
};

pub const DOC: ElementSpec = ElementSpec {
    word: "doc",
    occurs: Occurs::Optional,
    attributes: &[],
    children: &[],
    text: TextSpec::Optional(Constant),
    doc: "Markdown shown on the workflow's page.",
};

const NODE_NAME: AttributeSpec = required("name", ValueShape::Name, "The node's name, unique in the workflow.");
const TO: AttributeSpec = required("to", ValueShape::Text, "The next node's name.");
const CRON: AttributeSpec = optional(
    "cron",
    ValueShape::Cron,
    None,
    "Minute hour day-of-month month day-of-week, or a sentence such as every day at 3:30.",
);
const ZONE: AttributeSpec = optional(
    "time-zone",
    ValueShape::Zone,
    None,
    "IANA name such as Asia/Shanghai. Default: the enclosing one, at last the cluster's.",
);
const DST_GAP: AttributeSpec = optional(
    "dst-gap",
    ValueShape::Choice(policy::DstGap::WORDS),
    Some("run-after"),
    "A wall time that a clock change leaves out: run after it, or not.",
);
const DST_FOLD: AttributeSpec = optional(
    "dst-fold",
    ValueShape::Choice(policy::DstFold::WORDS),
    Some("first"),
    "A wall time that comes twice: the first, the last, both.",
);

const fn required(word: &'static str, shape: ValueShape, doc: &'static str) -> AttributeSpec {
    AttributeSpec { word, shape, is_required: true, default: None, context: Constant, doc }
}

const fn optional(
    word: &'static str,
    shape: ValueShape,
    default: Option<&'static str>,
    doc: &'static str,
) -> AttributeSpec {
    AttributeSpec { word, shape, is_required: false, default, context: Constant, doc }
}

const fn rendered(
    word: &'static str,
    shape: ValueShape,
    default: Option<&'static str>,
    context: TextContext,
    doc: &'static str,
) -> AttributeSpec {
    AttributeSpec { word, shape, is_required: false, default, context, doc }
}

pub fn attribute_not_built(element: &str, attribute: &str) -> bool {
    NOT_BUILT.iter().any(|(word, attributes, _)| *word == element && attributes.contains(&attribute))
}

pub fn child_not_built(element: &str, child: &str) -> bool {
    NOT_BUILT.iter().any(|(word, _, children)| *word == element && children.contains(&child))
}

pub fn value_not_built(element: &str, attribute: &str, value: &str) -> bool {
    VALUES_NOT_BUILT.contains(&(element, attribute, value.trim()))
}
