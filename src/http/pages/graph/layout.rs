//! Where everything stands: layers by longest path, order by barycentres, heights by least squares.
//!
//! Deterministic: integer and float arithmetic over the definition's order, no hash iteration. Edges over
//! several layers get a bend point in each, so that they do not run through cards.

/// What the layout knows of a node.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Centres of the nodes.
    pub nodes: Vec<Point>,
    /// Per edge: the horizontal passages through the layers between its ends, as (left, right) at one height.
    pub bends: Vec<Vec<(f64, f64, f64)>>,
    pub width: f64,
    pub height: f64,
}

#[derive(Debug, Clone, Copy)]
pub struct Spacing {
    /// Between layers, for the curves.
    pub column_gap: f64,
    /// Between nodes of a layer.
    pub row_gap: f64,
    pub margin: f64,
}

const ORDER_SWEEPS: usize = 12;
const HEIGHT_SWEEPS: usize = 12;
/// More bend points than this and long edges go straight.
const BENDS_MAX: usize = 20_000;
/// Height of an edge that passes a layer.
const LANE: f64 = 8.0;

/// Lays out nodes of the given sizes with edges between their indices.
pub fn layout(sizes: &[Size], edges: &[(usize, usize)], spacing: Spacing) -> Layout {
    let layers_of = layer(sizes.len(), edges);
    let mut work = Work::new(sizes, edges, &layers_of);
    work.order();
    work.place(spacing)
}

/// Longest path from a source. An edge that would close a circle does not count; definitions have none.
fn layer(n: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut incoming = vec![0usize; n];
    let mut outgoing: Vec<Vec<usize>> = vec![Vec::new(); n];
    for &(from, to) in edges {
        incoming[to] += 1;
        outgoing[from].push(to);
    }
    let mut layers = vec![0usize; n];
    let mut ready: Vec<usize> = (0..n).filter(|&node| incoming[node] == 0).collect();
    let mut at = 0;
    while at < ready.len() {
        let node = ready[at];
        at += 1;
        for &to in &outgoing[node] {
            layers[to] = layers[to].max(layers[node] + 1);
            incoming[to] -= 1;
            if incoming[to] == 0 {
                ready.push(to);
            }
        }
    }
    layers
}

/// Nodes and bend points ("spots") in layers.
struct Work {
    /// Spots of each layer, top to bottom.
    layers: Vec<Vec<usize>>,
    sizes: Vec<Size>,
    layer_of: Vec<usize>,
    /// Neighbours one layer to the left and to the right.
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
    /// Per edge: its bend points.
    bends: Vec<Vec<usize>>,
    n_nodes: usize,
}

impl Work {
    fn new(sizes: &[Size], edges: &[(usize, usize)], layers_of: &[usize]) -> Self {
        let n_layers = layers_of.iter().max().map_or(0, |last| last + 1);
        let mut work = Self {
            layers: vec![Vec::new(); n_layers],
            sizes: sizes.to_vec(),
            layer_of: layers_of.to_vec(),
            left: vec![Vec::new(); sizes.len()],
            right: vec![Vec::new(); sizes.len()],
            bends: Vec::with_capacity(edges.len()),
            n_nodes: sizes.len(),
        };
        for (node, &layer) in layers_of.iter().enumerate() {
            work.layers[layer].push(node);
        }
        let n_bends: usize = edges.iter().map(|&(from, to)| layers_of[to].saturating_sub(layers_of[from] + 1)).sum();
        for &(from, to) in edges {
            let (first, last) = (layers_of[from], layers_of[to]);
            let mut bends = Vec::new();
            let mut previous = from;
            if last > first + 1 && n_bends <= BENDS_MAX {
                for layer in first + 1..last {
                    let spot = work.add_bend(layer);
                    work.join(previous, spot);
                    bends.push(spot);
                    previous = spot;
                }
            }
            if last > first && (last == first + 1 || !bends.is_empty()) {
                work.join(previous, to);
            }
            work.bends.push(bends);
        }
        work
    }

    fn add_bend(&mut self, layer: usize) -> usize {
        let spot = self.sizes.len();
        self.sizes.push(Size { width: 0.0, height: LANE });
        self.layer_of.push(layer);
        self.left.push(Vec::new());
        self.right.push(Vec::new());
        self.layers[layer].push(spot);
        spot
    }

    fn join(&mut self, from: usize, to: usize) {
        self.right[from].push(to);
        self.left[to].push(from);
    }

    /// Fewest crossings seen in sweeps from left to right and back.
    fn order(&mut self) {
        let mut best = self.layers.clone();
        let mut best_crossings = self.crossings();
        for sweep in 0..ORDER_SWEEPS {
            if best_crossings == 0 {
                break;
            }
            self.sweep(sweep % 2 == 0);
            let crossings = self.crossings();
            if crossings < best_crossings {
                best_crossings = crossings;
                best.clone_from(&self.layers);
            }
        }
        self.layers = best;
    }

    fn sweep(&mut self, is_rightwards: bool) {
        let mut position = self.positions();
        let order: Vec<usize> =
            if is_rightwards { (0..self.layers.len()).collect() } else { (0..self.layers.len()).rev().collect() };
        for layer in order {
            let mut keyed: Vec<(f64, usize, usize)> = self.layers[layer]
                .iter()
                .enumerate()
                .map(|(at, &spot)| {
                    let neighbours = if is_rightwards { &self.left[spot] } else { &self.right[spot] };
                    let key = mean(neighbours.iter().map(|&n| position[n] as f64)).unwrap_or(at as f64);
                    (key, at, spot)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for (at, (_, _, spot)) in keyed.iter().enumerate() {
                position[*spot] = at;
                self.layers[layer][at] = *spot;
            }
        }
    }

    fn positions(&self) -> Vec<usize> {
        let mut position = vec![0; self.sizes.len()];
        for layer in &self.layers {
            for (at, &spot) in layer.iter().enumerate() {
                position[spot] = at;
            }
        }
        position
    }

    /// Pairs of edges that cross between neighbouring layers: inversions, counted with a Fenwick tree.
    fn crossings(&self) -> usize {
        let position = self.positions();
        let mut total = 0;
        for layer in &self.layers {
            let mut ends = Vec::new();
            for &spot in layer {
                let mut targets: Vec<usize> = self.right[spot].iter().map(|&to| position[to]).collect();
                targets.sort_unstable();
                ends.extend(targets);
            }
            let size = ends.iter().max().map_or(0, |max| max + 1);
            let mut tree = vec![0usize; size + 1];
            for (seen, &end) in ends.iter().enumerate() {
                let mut not_after = 0;
                let mut at = end + 1;
                while at > 0 {
                    not_after += tree[at];
                    at &= at - 1;
                }
                total += seen - not_after;
                let mut at = end + 1;
                while at <= size {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
        total
    }

    fn place(&self, spacing: Spacing) -> Layout {
        let mut y = vec![0.0; self.sizes.len()];
        for layer in &self.layers {
            let mut next = 0.0;
            for &spot in layer {
                y[spot] = next + self.sizes[spot].height / 2.0;
                next += self.sizes[spot].height + spacing.row_gap;
            }
        }
        for sweep in 0..HEIGHT_SWEEPS {
            let n = self.layers.len();
            for step in 0..n {
                let layer = if sweep % 2 == 0 { step } else { n - 1 - step };
                self.settle(layer, &mut y, spacing);
            }
        }
        self.straighten(&mut y);
        let top = (0..self.sizes.len()).map(|s| y[s] - self.sizes[s].height / 2.0).fold(f64::INFINITY, f64::min);
        let bottom = (0..self.sizes.len()).map(|s| y[s] + self.sizes[s].height / 2.0).fold(0.0, f64::max);
        let top = if top.is_finite() { top } else { 0.0 };
        let mut x = vec![0.0; self.sizes.len()];
        let mut columns = Vec::with_capacity(self.layers.len());
        let mut next = spacing.margin;
        for layer in &self.layers {
            let width = layer.iter().map(|&spot| self.sizes[spot].width).fold(0.0, f64::max);
            for &spot in layer {
                x[spot] = next + width / 2.0;
            }
            columns.push((next, next + width));
            next += width + spacing.column_gap;
        }
        let at = |spot: usize| Point { x: round(x[spot]), y: round(y[spot] - top + spacing.margin) };
        let bends = self
            .bends
            .iter()
            .map(|bends| {
                bends
                    .iter()
                    .map(|&spot| {
                        let (left, right) = columns[self.layer_of[spot]];
                        (round(left), round(right), at(spot).y)
                    })
                    .collect()
            })
            .collect();
        Layout {
            nodes: (0..self.n_nodes).map(at).collect(),
            bends,
            width: round((next - spacing.column_gap + spacing.margin).max(2.0 * spacing.margin)),
            height: round(bottom - top + 2.0 * spacing.margin),
        }
    }

    /// A run of layers with one spot each has no order to keep: it stands as one line before the middle of what it
    /// leads to, so that a start is not left at the top of a tall fan.
    fn straighten(&self, y: &mut [f64]) {
        let mut first = 0;
        while first < self.layers.len() {
            let run = self.layers[first..].iter().take_while(|layer| layer.len() == 1).count();
            if run > 0 {
                let spots = first..first + run;
                let (before, after) = (self.layers[first][0], self.layers[spots.end - 1][0]);
                if let Some(height) = mean(self.left[before].iter().chain(&self.right[after]).map(|&spot| y[spot])) {
                    spots.for_each(|layer| y[self.layers[layer][0]] = height);
                }
            }
            first += run.max(1);
        }
    }

    /// Moves the spots of a layer as close to their neighbours' heights as order and distances allow: least
    /// squares under a chain of inequalities, by pooling adjacent violators.
    fn settle(&self, layer: usize, y: &mut [f64], spacing: Spacing) {
        let spots = &self.layers[layer];
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(spots.len());
        // Blocks of (sum of wishes, weight, count); a block moves as one.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(spots.len());
        for (at, &spot) in spots.iter().enumerate() {
            if at > 0 {
                let above = self.sizes[spots[at - 1]].height;
                offset += (above + self.sizes[spot].height) / 2.0 + spacing.row_gap;
            }
            offsets.push(offset);
            let wish = self.wish(spot, y) - offset;
            // Straight long edges and straight chains matter more than the centring of a fan.
            let degree = self.left[spot].len() + self.right[spot].len();
            let weight = if spot >= self.n_nodes { 4.0 } else { 1.0 + 1.0 / degree.max(1) as f64 };
            blocks.push((wish * weight, weight, 1));
            while let [.., (sum_a, weight_a, _), (sum_b, weight_b, _)] = blocks[..]
                && sum_a / weight_a > sum_b / weight_b
            {
                let (sum, weight, count) = blocks.pop().expect("two blocks were seen");
                let last = blocks.last_mut().expect("two blocks were seen");
                *last = (last.0 + sum, last.1 + weight, last.2 + count);
            }
        }
        let mut at = 0;
        for (sum, weight, count) in blocks {
            for _ in 0..count {
                y[spots[at]] = sum / weight + offsets[at];
                at += 1;
            }
        }
    }
}

impl Work {
    /// The height among its neighbours. Those with few edges count more: a step of a chain belongs beside the
    /// steps before and after it, not half-way to a fork of hundreds.
    fn wish(&self, spot: usize, y: &[f64]) -> f64 {
        let mut sum = 0.0;
        let mut weights = 0.0;
        for &neighbour in self.left[spot].iter().chain(&self.right[spot]) {
            let degree = self.left[neighbour].len() + self.right[neighbour].len();
            let weight = 1.0 / (degree.max(1) as f64).powi(2);
            sum += y[neighbour] * weight;
            weights += weight;
        }
        if weights > 0.0 { sum / weights } else { y[spot] }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Half pixels are enough, and keep the text of the picture short.
fn round(value: f64) -> f64 {
    (value * 2.0).round() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Size = Size { width: 140.0, height: 60.0 };
    const SPACING: Spacing = Spacing { column_gap: 36.0, row_gap: 26.0, margin: 10.0 };

    fn of(n: usize, edges: &[(usize, usize)]) -> Layout {
        layout(&vec![CARD; n], edges, SPACING)
    }

    fn assert_no_overlap(layout: &Layout) {
        for (i, a) in layout.nodes.iter().enumerate() {
            for (j, b) in layout.nodes.iter().enumerate().skip(i + 1) {
                let apart = (a.x - b.x).abs() >= CARD.width || (a.y - b.y).abs() >= CARD.height;
                assert!(apart, "{i} {a:?} and {j} {b:?} overlap");
            }
        }
    }

    #[test]
    fn a_chain_is_a_straight_line_to_the_right() {
        let layout = of(4, &[(0, 1), (1, 2), (2, 3)]);
        assert!(layout.nodes.windows(2).all(|pair| pair[0].x < pair[1].x && pair[0].y == pair[1].y));
        assert_eq!(layout.height, CARD.height + 2.0 * SPACING.margin);
    }

    #[test]
    fn a_fork_is_centred_on_its_branches_in_the_order_of_the_file() {
        let layout = of(5, &[(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]);
        assert!(layout.nodes[1].y < layout.nodes[2].y && layout.nodes[2].y < layout.nodes[3].y);
        assert_eq!(layout.nodes[0].y, layout.nodes[2].y);
        assert_eq!(layout.nodes[4].y, layout.nodes[2].y);
        assert_no_overlap(&layout);
    }

    #[test]
    fn a_long_edge_bends_around_the_cards_between() {
        let layout = of(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let bends = &layout.bends[3];
        assert_eq!(bends.len(), 2);
        for ((_, _, y), node) in bends.iter().zip([1, 2]) {
            assert!((y - layout.nodes[node].y).abs() >= CARD.height / 2.0, "{layout:?}");
        }
    }

    #[test]
    fn crossings_that_an_order_avoids_are_avoided() {
        // Written crossed: 1 leads to 4, 2 to 3.
        let layout = of(6, &[(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)]);
        assert_eq!(layout.nodes[1].y < layout.nodes[2].y, layout.nodes[4].y < layout.nodes[3].y);
    }

    #[test]
    fn the_same_graph_gives_the_same_picture_at_every_size() {
        for n in [1_usize, 2, 50, 300, 2_000] {
            let edges: Vec<(usize, usize)> = (1..n)
                .flat_map(|to| [(to * 7 % to.max(1), to), (to.saturating_sub(3), to)])
                .filter(|(f, t)| f < t)
                .collect();
            let once = of(n, &edges);
            assert_eq!(once, of(n, &edges));
            assert_no_overlap(&once);
            assert!(once.nodes.iter().all(|p| p.x <= once.width && p.y <= once.height && p.x >= 0.0 && p.y >= 0.0));
        }
    }

    #[test]
    fn nothing_and_circles_do_not_hang_or_panic() {
        assert_eq!(of(0, &[]).nodes, []);
        assert_eq!(of(2, &[(0, 1), (1, 0)]).nodes.len(), 2);
        assert_eq!(of(1, &[(0, 0)]).nodes.len(), 1);
    }
}
