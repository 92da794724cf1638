//! The durable side: rows that the replica wrote, read back at a take-over and for instances at rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ractorflow::engine::State;
use ractorflow::engine::state::{Aggregate, AggregateKey, Archive, Fire};
use ractorflow::model::id::{InstanceNumber, Principal};
use ractorflow::model::trigger::FireKey;

#[derive(Default)]
pub struct Store {
    rows: Mutex<BTreeMap<AggregateKey, Aggregate>>,
}

impl Store {
    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<AggregateKey, Aggregate>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what changed.
    pub fn write(&self, replica: &mut State) {
        let mut rows = self.rows();
        for (key, row) in replica.drain_dirty() {
            match row {
                Some(row) => {
                    rows.insert(key, row);
                }
                None => {
                    if let AggregateKey::Instance(number) = &key {
                        rows.retain(|other, _| !matches!(other, AggregateKey::Node(id) if id.instance == *number));
                    }
                    rows.remove(&key);
                }
            }
        }
    }

    pub fn load(self: &Arc<Self>) -> State {
        let rows: Vec<Aggregate> = self.rows().values().cloned().collect();
        State::from_aggregates(rows).with_archive(Arc::clone(self) as Arc<dyn Archive>)
    }
}

impl Archive for Store {
    fn instance(&self, number: InstanceNumber) -> Option<Vec<Aggregate>> {
        let rows = self.rows();
        rows.get(&AggregateKey::Instance(number))?;
        let of = |key: &AggregateKey| match key {
            AggregateKey::Instance(of) => *of == number,
            AggregateKey::Node(id) => id.instance == number,
            _ => false,
        };
        Some(rows.iter().filter(|(key, _)| of(key)).map(|(_, row)| row.clone()).collect())
    }

    fn instance_by_request(&self, by: &Principal, key: &str) -> Option<InstanceNumber> {
        self.rows().values().find_map(|row| match row {
            Aggregate::Instance(head) if head.by == *by && head.request.as_deref() == Some(key) => Some(head.number),
            _ => None,
        })
    }

    fn fire(&self, key: &FireKey) -> Option<Fire> {
        match self.rows().get(&AggregateKey::Fire(key.clone())) {
            Some(Aggregate::Fire(fire)) => Some(fire.clone()),
            _ => None,
        }
    }
}
