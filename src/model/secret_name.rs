//! Names behind which a secret stands, and a line of somebody's file without what stands there. A comfort for those who
//! show a line to others: what it cannot know, such as a password in the words of a command, it leaves.

const WORDS: [&str; 7] = ["password", "passwd", "pwd", "secret", "token", "credential", "passphrase"];

/// Does what has this name hold a secret?
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// The line with a `*` for each character of a value whose name says that it is secret: `password="…"`, `pwd=…;`,
/// `<token>…</token>`, `name="TOKEN" value="…"`, `"token": "…"`. Places stay as they are. A reference such as
/// `${env:PASSWORD}` is no secret. For a bounded piece of a line: it looks at the rest of it again and again.
pub fn masked_line(line: &str) -> String {
    // ASCII only is changed: offsets are those of `line`.
    let lower = line.to_ascii_lowercase();
    let (mut masked, mut done) = (String::with_capacity(line.len()), 0);
    while let Some(name) = first_name(&lower, done) {
        let value = value_behind(&lower, name);
        masked.push_str(&line[done..value.start]);
        let text = &line[value.clone()];
        let is_shown = text.starts_with("${") && text.find('}') == Some(text.len() - 1) && !text.contains(":-");
        masked.extend(text.chars().map(|c| if is_shown { c } else { '*' }));
        done = value.end;
    }
    masked + &line[done..]
}

/// Where the first of the words at or behind `from` ends.
fn first_name(lower: &str, from: usize) -> Option<usize> {
    let places = WORDS.iter().filter_map(|word| lower[from..].find(word).map(|at| (at, from + at + word.len())));
    places.min().map(|(_, end)| end)
}

/// The value of the name that goes on at `at`; empty where none follows.
fn value_behind(lower: &str, at: usize) -> std::ops::Range<usize> {
    let rest = lower[at..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let none = lower.len() - rest.len()..lower.len() - rest.len();
    // The name is a value itself: what it names follows.
    let quoted = rest.strip_prefix(['"', '\'']).map(str::trim_start);
    let rest = quoted.map_or(rest, |rest| rest.strip_prefix("value").unwrap_or(rest));
    // A `>` with blanks before it compares, and behind a closing tag nothing of it follows.
    let is_closing = lower[..at].rfind('<').is_some_and(|open| lower[open..].starts_with("</"));
    let is_element = quoted.is_none() && rest.starts_with('>') && !is_closing;
    let behind_sign = match is_element {
        true => rest.strip_prefix('>'),
        false => rest.trim_start().strip_prefix(['=', ':']),
    };
    let Some(rest) = behind_sign.map(str::trim_start) else { return none };
    let rest = rest.strip_prefix("<![cdata[").unwrap_or(rest);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let rest = quote.map_or(rest, |_| &rest[1..]);
    let length = match quote {
        Some(quote) => rest.find(quote),
        None if is_element => rest.find('<'),
        None => rest.find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | ',' | '"' | '\'' | '<' | '>')),
    };
    let start = lower.len() - rest.len();
    start..start + length.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_secret_name_is_starred_in_its_place() {
        let seen = |line: &str| {
            let masked = masked_line(line);
            assert_eq!(masked.chars().count(), line.chars().count(), "{line}");
            masked
        };
        assert_eq!(seen(r#"<db password="密码é" user="u"/>"#), r#"<db password="***" user="u"/>"#);
        assert_eq!(seen("db-passwd = 'a b' PWD={x};Token=abc"), "db-passwd = '***' PWD=***;Token=***");
        assert_eq!(seen("<password>a=b</password> 后"), "<password>***</password> 后");
        assert_eq!(seen("jdbc:mysql://h/d?user=u&password=x&ssl=1"), "jdbc:mysql://h/d?user=u&password=*&ssl=1");
        assert_eq!(seen("password: s3cret"), "password: ******");
        assert_eq!(
            seen(r#"<env name="DB_PASSWORD" value="s3" x="y"/>"#),
            r#"<env name="DB_PASSWORD" value="**" x="y"/>"#
        );
        assert_eq!(seen(r#"{"token": "t1", "a": 1}"#), r#"{"token": "**", "a": 1}"#);
        assert_eq!(seen("<password><![CDATA[x]]></password>"), "<password><![CDATA[****</password>");
        assert_eq!(seen(r#"password="${env:X}ab""#), r#"password="**********""#);
        assert_eq!(seen("<a passphrase=\"open"), "<a passphrase=\"****", "without an end");
    }

    #[test]
    fn what_holds_no_secret_stays() {
        for line in [
            r#"password="${env:PW}""#,
            "the password is wrong",
            "secret",
            "[ $token > 5 ]",
            "<path to=\"token\"/>",
            "<a b=\"token\">x</a>",
            "<password/>",
            "日报 x=1",
            "",
        ] {
            assert_eq!(masked_line(line), line);
        }
    }
}
