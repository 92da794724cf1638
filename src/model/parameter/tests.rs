//! Tests of the parameter language.
