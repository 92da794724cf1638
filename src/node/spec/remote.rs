//! Types that run on other hosts: `ssh`.

use super::*;

pub const SSH: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "ssh",
        occurs: Occurs::One,
        attributes: &[required(
            "file-link",
            ValueShape::Text,
            TextContext::Authority,
            "Name of a file link of type SFTP in conf/file_links.xml: host, user and key or password.",
        )],
        children: &[leaf(
            "command",
            Occurs::One,
            TextSpec::Required(TextContext::Shell),
            "What runs there. Its first line may name the interpreter (#!); bash otherwise, or sh where there is none.",
        )],
        text: TextSpec::None,
        doc: "Runs commands on another host; exit code 0 is success. A kill ends them there.",
    },
    files: no_files,
    check: no_more_rules,
};
