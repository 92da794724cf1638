//! Types that look at files: `file-monitor`.

use super::*;
use crate::say;

const PAUSE: AttributeSpec = attribute(
    "pause",
    ValueShape::Duration,
    Some("10s"),
    TextContext::Plain,
    "Between the two looks, which must find the same.",
);

pub const FILE_MONITOR: ActionSpec = ActionSpec {
    element: ElementSpec {
        word: "file-monitor",
        occurs: Occurs::One,
        attributes: &[PAUSE],
        children: &[
            ElementSpec {
                word: "file",
                occurs: Occurs::One,
                attributes: &[
                    attribute(
                        "min-num",
                        ValueShape::Integer { min: 0 },
                        Some("1"),
                        TextContext::Plain,
                        "Fewest files.",
                    ),
                    attribute(
                        "min-each-size",
                        ValueShape::Size,
                        Some("0B"),
                        TextContext::Plain,
                        "Smallest size of each.",
                    ),
                    attribute(
                        "file-link",
                        ValueShape::Text,
                        Some("local"),
                        TextContext::Authority,
                        "Name of a file link of conf/file_links.xml: this host, or SFTP, S3, HDFS.",
                    ),
                ],
                children: &[],
                text: TextSpec::Required(TextContext::Plain),
                doc: "Directory and file name pattern; * stands for any characters.",
            },
            leaf(
                "warn-msg",
                Occurs::Optional,
                TextSpec::Optional(TextContext::Plain),
                "Text of the message when files are missing.",
            ),
        ],
        text: TextSpec::None,
        doc: "Fails unless enough files of enough size lie in a directory and no longer grow.",
    },
    files: no_files,
    check: check_file_monitor,
};

fn check_file_monitor(body: &BodyElement<Template>) -> Vec<BodyFault> {
    let Some((at, file)) = body.children.iter().enumerate().find(|(_, child)| child.word == "file") else {
        return Vec::new();
    };
    let text = file.text.as_ref().map_or("", |text| text.source.as_str()).trim();
    if text.is_empty() || text.contains('/') || text.contains("${") {
        return Vec::new();
    }
    let hint = Some(say!("write the directory too: /data/in/*.csv"));
    vec![fault(&[at], None, say!("\"{}\" names no directory", text), hint)]
}
