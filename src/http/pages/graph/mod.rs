//! A workflow's graph as a picture: layered from left to right, the same for the same definition.

mod draw;
mod layout;

pub use draw::{Card, Line, LineStyle, draw};
