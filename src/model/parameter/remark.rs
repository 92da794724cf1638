//! What only `check` says of a text: where a value that a caller gives, and that nothing bounds, decides more
//! than a value should. Loading is silent about it, as the splicing rule holds anyway.

use std::ops::Range;

use super::caution::{command_cautions, variable_cautions};
use super::filter::Filter;
use super::form::Form;
use super::template::Template;
use crate::model::action::TextContext;
use crate::model::fault::TextFault;
use crate::say;

/// A remark, which stands if its parameter takes any text from callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub about: About,
    pub fault: TextFault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Param(String),
    /// The parameter with this environment variable.
    Variable(String),
}

impl Template {
    pub fn remarks(&self, context: TextContext) -> Vec<Remark> {
        let forms = self.spliced_params();
        let places: Vec<Range<usize>> = forms.iter().map(|(_, place)| place.clone()).collect();
        let faults = match context {
            TextContext::Shell => command_cautions(&self.source, &places),
            TextContext::Sql => sql_cautions(&self.source, &places),
            TextContext::Plain
            | TextContext::Argument
            | TextContext::Html
            | TextContext::Authority
            | TextContext::Constant => return Vec::new(),
        };
        let of_forms = forms.into_iter().zip(faults);
        let mut remarks: Vec<Remark> = of_forms
            .filter_map(|((name, _), fault)| Some(Remark { about: About::Param(name), fault: fault? }))
            .collect();
        if context == TextContext::Shell {
            let of_variables = variable_cautions(&self.source).into_iter();
            remarks.extend(of_variables.map(|(name, fault)| Remark { about: About::Variable(name), fault }));
        }
        remarks
    }

    /// Parameters that become part of the text itself, each with its place.
    fn spliced_params(&self) -> Vec<(String, Range<usize>)> {
        let forms = self.placed_forms().filter_map(|(piece, place)| match &piece.form {
            Form::Param(name) if !matches!(piece.filters.last(), Some(Filter::Sh | Filter::Sql)) => {
                Some((name.clone(), place))
            }
            Form::Param(_) | Form::Time { .. } | Form::Id(_) | Form::Node { .. } | Form::Dep { .. } => None,
        });
        forms.collect()
    }
}

/// Which of the forms at these places stands outside quotes and comments.
fn sql_cautions(text: &str, forms: &[Range<usize>]) -> Vec<Option<TextFault>> {
    let mut inside: Option<&str> = None;
    let mut at = 0;
    forms
        .iter()
        .map(|form| {
            while at < form.start {
                let rest = &text[at..];
                let length = rest.chars().next().map_or(1, char::len_utf8);
                at += match inside {
                    Some(end) if rest.starts_with(end) => {
                        inside = None;
                        end.len()
                    }
                    Some(_) => length,
                    None => {
                        let opens = [("--", "\n"), ("/*", "*/"), ("'", "'"), ("\"", "\""), ("`", "`")];
                        match opens.iter().find(|(open, _)| rest.starts_with(open)) {
                            Some((open, end)) => {
                                inside = Some(end);
                                open.len()
                            }
                            None => length,
                        }
                    }
                };
            }
            at = at.max(form.end);
            let raw = &text[form.clone()];
            inside.is_none().then(|| {
                let message = say!("outside quotes what a caller gives for {} can name a column or a table", raw);
                let hint = say!("add |sql, which binds it, or give the parameter a type or a pattern");
                TextFault::new(form.clone(), message).hint(hint)
            })
        })
        .collect()
}
