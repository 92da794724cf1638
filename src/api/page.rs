//! Lists in pages: keyset cursors, never offsets, never totals.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most rows of one page.
pub const LIMIT_MAX: u32 = 500;
pub const LIMIT_DEFAULT: u32 = 50;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// 1 to `LIMIT_MAX`; more is refused, not cut.
    pub limit: u32,
    /// `next` of the page before; opaque.
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: LIMIT_DEFAULT, cursor: None }
    }
}

impl PageRequest {
    pub fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }
}

/// A page of a list; `next` is null on the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}
