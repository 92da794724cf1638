//! The tree that the `dir` of workflows makes.

use std::collections::BTreeMap;

use crate::api::FolderView;
use crate::model::state::InstanceWord;

/// A workflow as its folder counts it.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub dir: String,
    pub enabled: bool,
    pub running: u32,
    /// State of its newest instance.
    pub last: Option<InstanceWord>,
    pub has_error: bool,
}

/// Every folder from the root down, each before what is in it, with the workflows in it and below.
pub fn folders(leaves: &[Leaf]) -> Vec<FolderView> {
    // By segments: "/a b" must not stand between "/a" and "/a/b".
    let mut found: BTreeMap<Vec<&str>, FolderView> = BTreeMap::new();
    for leaf in leaves {
        let segments: Vec<&str> = leaf.dir.split('/').filter(|segment| !segment.is_empty()).collect();
        for depth in 0..=segments.len() {
            let path = &segments[..depth];
            let folder = found
                .entry(path.to_vec())
                .or_insert_with(|| FolderView { dir: format!("/{}", path.join("/")), ..FolderView::default() });
            folder.workflows += u32::from(depth == segments.len());
            folder.below += 1;
            folder.disabled += u32::from(!leaf.enabled);
            folder.running += leaf.running;
            folder.failed += u32::from(leaf.last == Some(InstanceWord::Failed));
            folder.errors += u32::from(leaf.has_error);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_counts_what_is_in_it_and_below_and_stands_before_it() {
        let leaf = |dir: &str, last, enabled| Leaf { dir: dir.to_owned(), enabled, running: 1, last, has_error: false };
        let (good, bad) = (Some(InstanceWord::Succeeded), Some(InstanceWord::Failed));
        let leaves = [
            leaf("/dw/orders", good, true),
            leaf("/dw x", None, true),
            leaf("/dw", bad, false),
            leaf("/dw/orders", bad, true),
            leaf("/", good, true),
        ];
        let shown: Vec<String> = folders(&leaves)
            .iter()
            .map(|f| format!("{} {}/{} F{} D{} R{}", f.dir, f.workflows, f.below, f.failed, f.disabled, f.running))
            .collect();
        let expected = ["/ 1/5 F2 D1 R5", "/dw 1/3 F2 D1 R3", "/dw/orders 2/2 F1 D0 R2", "/dw x 1/1 F0 D0 R1"];
        assert_eq!(shown, expected);
        assert_eq!(folders(&[]), []);
    }
}
