//! Forms: names and values, in the two ways in which browsers and programs write them. The guard has bounded the body.

use memchr::memmem;

/// Parts of one form; more are no form of these routes.
const PARTS_MAX: usize = 256;
/// RFC 2046.
const BOUNDARY_BYTES_MAX: usize = 70;

/// `a=b&c=d` of any length; what does not decode stays as it is.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://form/") else { return Vec::new() };
    url.set_query(Some(text.trim()));
    url.query_pairs().into_owned().collect()
}

/// What stands between the parts of a body of the type `multipart/form-data`; `None`: it is of another type.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("multipart/form-data").then_some(())?;
    let boundary = parameter(parameters, "boundary")?;
    (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()).then_some(boundary)
}

/// The parts of such a body, a file's content like any other value (RFC 7578). `None`: it is not what it says to be.
pub fn parts(body: &[u8], boundary: &str) -> Option<Vec<(String, String)>> {
    let (first, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let begin = match body.starts_with(first.as_bytes()) {
        true => first.len(),
        // Before the first one may stand what nobody reads.
        false => memmem::find(body, between.as_bytes())? + between.len(),
    };
    let mut rest = &body[begin..];
    let mut found = Vec::new();
    while !rest.starts_with(b"--") {
        let head = memmem::find(rest, b"\r\n")? + 2;
        rest = &rest[head..];
        let end = memmem::find(rest, between.as_bytes())?;
        let part = &rest[..end];
        let blank = memmem::find(part, b"\r\n\r\n")?;
        let (headers, value) = (String::from_utf8_lossy(&part[..blank]), &part[blank + 4..]);
        found.push((name(&headers)?, String::from_utf8_lossy(value).into_owned()));
        if found.len() > PARTS_MAX {
            return None;
        }
        rest = &rest[end + between.len()..];
    }
    Some(found)
}

fn name(headers: &str) -> Option<String> {
    let mut lines = headers.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, disposition) = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))?;
    let (kind, parameters) = disposition.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("form-data").then_some(())?;
    // What browsers make of the characters that would end it.
    parameter(parameters, "name").map(|name| name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

/// Of `a=b; c="d;e"`: a quote in quotes has a backslash before it.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let mut value = String::new();
        let end = match after.strip_prefix('"') {
            None => {
                let end = after.find(';').unwrap_or(after.len());
                value.push_str(after[..end].trim());
                end
            }
            Some(quoted) => {
                let mut characters = quoted.char_indices();
                loop {
                    match characters.next()? {
                        (at, '"') => break at + 2,
                        (_, '\\') => value.extend(characters.next().map(|(_, c)| c)),
                        (_, c) => value.push(c),
                    }
                }
            }
        };
        if name.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = &after[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_any_length_is_read() {
        let long = "x".repeat(200_000);
        let values = pairs(&format!("xml=%3Cwork-flow+name%3D%22%E6%97%A5%E6%8A%A5%22%2F%3E&long={long}&bad=%zz&flag"));
        assert_eq!(values[0], ("xml".to_owned(), "<work-flow name=\"日报\"/>".to_owned()));
        assert_eq!(values[1].1.len(), long.len());
        assert_eq!(values[2], ("bad".to_owned(), "%zz".to_owned()));
        assert_eq!(values[3], ("flag".to_owned(), String::new()));
    }

    #[test]
    fn the_boundary_is_found_in_any_writing() {
        assert_eq!(boundary("multipart/form-data; boundary=----x7").as_deref(), Some("----x7"));
        assert_eq!(boundary("Multipart/Form-Data; charset=\"a;b\" ;BOUNDARY=\"a \\\"b\"").as_deref(), Some("a \"b"));
        for other in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "text/xml; boundary=x",
            "multipart/form-data; boundary=\"x",
        ] {
            assert_eq!(boundary(other), None, "{other}");
        }
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
    }

    #[test]
    fn parts_are_values_as_they_stand() {
        let part = |headers: &str, value: &str| format!("--B\r\n{headers}\r\n\r\n{value}\r\n");
        let file = "content-disposition: form-data; filename=\"name=x;.xml\"; name=\"xml\"\r\nContent-Type: text/xml";
        let body = [
            part("Content-Disposition: form-data; name=\"action\"", "add"),
            part(file, "<a>\r\n--not B\r\n日报</a>\r\n"),
            part("Content-Disposition: form-data; name=\"a%22b\"", ""),
        ]
        .concat();
        let wanted = [("action", "add"), ("xml", "<a>\r\n--not B\r\n日报</a>\r\n"), ("a\"b", "")];
        let wanted: Vec<_> = wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (before, after) in [("", ""), ("read by nobody\r\n", "\r\nnor this")] {
            assert_eq!(parts(format!("{before}{body}--B--{after}").as_bytes(), "B"), Some(wanted.clone()));
        }
        assert_eq!(parts(b"--B--", "B"), Some(Vec::new()));
        for cut in 0..body.len() {
            assert_eq!(parts(&body.as_bytes()[..cut], "B"), None, "{cut}");
        }
        assert_eq!(parts(part("Content-Disposition: attachment; name=\"a\"", "x").as_bytes(), "B"), None);
        let many = part("Content-Disposition: form-data; name=a", "x").repeat(PARTS_MAX + 1) + "--B--";
        assert_eq!(parts(many.as_bytes(), "B"), None);
    }
}
