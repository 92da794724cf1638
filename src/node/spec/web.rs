//! Types that talk to services of the web: `http`.

use super::*;
use crate::node::http::parse_statuses;
use crate::say;

pub const HTTP: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "http",
        occurs: Occurs::One,
        attributes: &[
            required("url", ValueShape::Text, TextContext::Authority, "The address, http or https."),
            attribute(
                "method",
                ValueShape::Choice(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
                Some("GET"),
                TextContext::Authority,
                "What is asked for.",
            ),
            attribute("timeout", ValueShape::Duration, Some("60s"), TextContext::Plain, "For the whole answer."),
            attribute(
                "expect-status",
                ValueShape::Text,
                Some("200-299"),
                TextContext::Plain,
                "Status codes and ranges with which it succeeds.",
            ),
        ],
        children: &[
            ElementSpec {
                word: "header",
                occurs: Occurs::Many,
                attributes: &[required("name", ValueShape::Text, TextContext::Authority, "The header.")],
                children: &[],
                text: TextSpec::Required(TextContext::Plain),
                doc: "A header of the request.",
            },
            ElementSpec {
                word: "body",
                occurs: Occurs::Optional,
                attributes: &[attribute(
                    "type",
                    ValueShape::Text,
                    None,
                    TextContext::Plain,
                    "Its content type, such as application/json.",
                )],
                children: &[],
                text: TextSpec::Required(TextContext::Plain),
                doc: "What is sent.",
            },
            leaf(
                "expect-body",
                Occurs::Optional,
                TextSpec::Required(TextContext::Constant),
                "A regular expression that the answer must match somewhere.",
            ),
        ],
        text: TextSpec::None,
        doc: "Sends one request and checks its answer; outputs are status and body.",
    },
    files: no_files,
    check: check_http,
};

fn check_http(body: &BodyElement<Template>) -> Vec<BodyFault> {
    let mut faults = Vec::new();
    if let Some(url) = constant(body, "url").filter(|url| !url.is_empty())
        && !["http://", "https://"].iter().any(|scheme| url.to_ascii_lowercase().starts_with(scheme))
    {
        let message = say!("\"{}\" is no address of the web (http://… or https://…)", url);
        faults.push(fault(&[], Some("url"), message, None));
    }
    if let Some(Err(message)) = constant(body, "expect-status").filter(|text| !text.is_empty()).map(parse_statuses) {
        faults.push(fault(&[], Some("expect-status"), message, None));
    }
    for (at, child) in body.children.iter().enumerate().filter(|(_, child)| child.word == "expect-body") {
        let pattern = child.text.as_ref().map_or("", |text| text.source.trim());
        if let Err(error) = regex::Regex::new(pattern) {
            faults.push(fault(&[at], None, Message::verbatim(error.to_string()), None));
        }
    }
    faults
}
