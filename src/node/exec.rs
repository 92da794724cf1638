//! `exec`: a program and its arguments, with no shell between.

use crate::model::assignment::Assignment;
use crate::say;

use super::process::{Plan, Refusal};

pub fn plan(assignment: &Assignment) -> Result<Plan, Refusal> {
    let body = &assignment.body;
    let program = body.attribute("program").map(|program| program.text.trim()).filter(|program| !program.is_empty());
    let program = program.ok_or(Refusal::Missing("program"))?.to_owned();
    let arguments = body.children("arg").map(|arg| arg.text.as_ref().map_or(String::new(), |text| text.text.clone()));
    let args: Vec<String> = std::iter::once(program.clone()).chain(arguments).collect();
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err(Refusal::Wrong(say!("an argument holds a NUL character")));
    }
    Ok(Plan { program, args, ..Plan::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::testing::{assignment, element, with_attribute};

    #[test]
    fn arguments_stay_as_they_are() {
        let args =
            vec![element("arg", &[" a b "], vec![]), element("arg", &[], vec![]), element("arg", &["$(x)"], vec![])];
        let body = with_attribute(element("exec", &[], args), "program", " /bin/echo ");
        assert_eq!(plan(&assignment(body)).unwrap().args, ["/bin/echo", " a b ", "", "$(x)"]);
        assert_eq!(plan(&assignment(element("exec", &[], vec![]))), Err(Refusal::Missing("program")));
    }
}
