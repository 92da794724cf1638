//! The filter `sh` against real shells: hostile values in every quoting, and nothing of them runs.

use std::process::Command;

use super::*;

/// Each of these creates a file when any part of it is run as code.
const HOSTILE: &[&str] = &[
    "$(touch hit)",
    "`touch hit`",
    "; touch hit;",
    "& touch hit &",
    "| touch hit",
    "&& touch hit || touch hit",
    "'; touch hit; '",
    "\"; touch hit; \"",
    "\\\"; touch hit; \\'",
    "'\"'\"; touch hit #",
    "\ntouch hit\n",
    "\r\ntouch hit\r\n",
    "EOF\ntouch hit\nEOF",
    "END\n$(touch hit)\nEND",
    "x) touch hit; (",
    "x` ; touch hit ; `",
    "}; touch hit; {",
    "${IFS}touch${IFS}hit",
    "$((x[$(touch hit)]))",
    "a[$(touch hit)]",
    "() { :; }; touch hit",
    "> hit",
    "x > hit; : < hit",
    "<(touch hit)",
    "!! ; touch hit",
    "-e touch hit",
    "--rcfile hit",
    "-o 1 = 1 -o",
    "] ; touch hit ; [",
    "$'\\x3btouch hit'",
    "\\",
    "'",
    "\"",
    "$",
    "*",
    "~",
    "",
    " \t leading and trailing \t ",
    "中文 “引号” ; touch hit",
];

/// The value bare, in double and single quotes, heredocs, `$()`, backticks, `[ ]`, assignment and case.
const SCRIPT: &str = r#"
echo ${param:x|sh} >/dev/null
echo "${param:x|sh}" >/dev/null
echo "a ${param:x|sh} b" >/dev/null
echo '${param:x|sh}' >/dev/null
echo a\ ${param:x|sh}b >/dev/null
cat <<EOF >/dev/null
${param:x|sh}
EOF
cat <<'END' >/dev/null
${param:x|sh}
END
y=$(printf %s "${param:x|sh}")
y=$(echo ${param:x|sh})
y=`printf %s "${param:x|sh}"`
y=`echo ${param:x|sh}`
[ "${param:x|sh}" = x ] 2>/dev/null
[ ${param:x|sh} = x ] 2>/dev/null
test -n "${param:x|sh}"
y=${param:x|sh}
z="${param:x|sh}"
case "${param:x|sh}" in ${param:x|sh}) ;; esac
for y in ${param:x|sh}; do echo "$y" >/dev/null; done
: ${y:-${param:x|sh}}
printf %s "${param:x|sh}" >got
echo end
"#;

fn run(shell: &str, rendered: &Rendered, dir: &std::path::Path) -> String {
    let output = Command::new(shell)
        .args(["-c", &rendered.text])
        .envs(rendered.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(dir)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nothing_of_a_hostile_value_runs_in_any_quoting() {
    for shell in ["/bin/sh", "/bin/bash"] {
        if !std::path::Path::new(shell).exists() {
            continue;
        }
        for value in HOSTILE {
            let dir = tempfile::tempdir().unwrap();
            let scope = scope(&[("x", Value::external(*value))]);
            let rendered = rendered(SCRIPT, TextContext::Shell, &scope).unwrap();
            assert!(value.len() < 3 || !rendered.text.contains(value), "the value must not be in the code");
            let output = run(shell, &rendered, dir.path());
            assert!(output.ends_with("end\n"), "{shell} broke off at {value:?}: {output}");
            assert!(!dir.path().join("hit").exists(), "{shell} ran {value:?}");
            assert_eq!(std::fs::read_to_string(dir.path().join("got")).unwrap(), *value, "{shell} changed the value");
        }
    }
}

#[test]
fn what_may_be_spliced_as_it_is_runs_nothing_either() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo ${param:x} >/dev/null\necho \"${param:x}\" '${param:x}' >/dev/null\ny=`echo ${param:x}`\n\
                  cat <<EOF >/dev/null\n${param:x}\nEOF\n[ \"${param:x}\" = x ]\necho end\n";
    let spliced = ["a,b", "/etc/x:y@z", "a+b.c_d", "2026-01-01 10:20:30", "华东", "+x", ",", ".", "/", "@", ":"];
    for value in HOSTILE.iter().chain(&spliced) {
        let scope = scope(&[("x", Value::external(*value))]);
        match rendered(script, TextContext::Shell, &scope) {
            Ok(rendered) => {
                assert!(run("/bin/sh", &rendered, dir.path()).ends_with("end\n"), "{value}");
                assert!(!dir.path().join("hit").exists(), "{value}");
            }
            Err(error) => assert!(!spliced.contains(value), "{error}"),
        }
    }
}
