//! Types that send mail: `email`.

use super::*;

pub const EMAIL: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "email",
        occurs: Occurs::One,
        attributes: &[],
        children: &[],
        text: TextSpec::Markup(TextContext::Html),
        doc: "Mails text or HTML to the receivers of the workflow.",
    },
    is_built: false,
    not_built: &[],
    check: no_more_rules,
};
