//! Types that send mail: `email`.

use super::*;

pub const EMAIL: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "email",
        occurs: Occurs::One,
        attributes: &[
            attribute(
                "to",
                ValueShape::List,
                None,
                TextContext::Authority,
                "Receivers; those of the workflow otherwise.",
            ),
            attribute(
                "subject",
                ValueShape::Text,
                None,
                TextContext::Plain,
                "The subject; workflow and number otherwise.",
            ),
        ],
        children: &[],
        text: TextSpec::Markup(TextContext::Html),
        doc: "Mails text or HTML to the receivers of the workflow.",
    },
    files: no_files,
    check: no_more_rules,
};
