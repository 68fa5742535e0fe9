//! Tells the root task which request is being worked on.

use rumpload_l4::{Message, Sender, Service, Window};
use rumpload_sel4::LoadMap;

/// A service whose requests the root task can see.
pub struct Supervised<S> {
    inner: S,
    map: &'static LoadMap,
    number: u64,
}

impl<S> Supervised<S> {
    /// `inner`, with its requests noted in `map`.
    pub fn new(inner: S, map: &'static LoadMap) -> Self {
        Self { inner, map, number: 0 }
    }
}

impl<S: Service> Service for Supervised<S> {
    fn handle(&mut self, sender: Sender, message: &mut Message, window: &Window) {
        self.number += 1;
        self.map.begin(self.number, message.label.get());
        self.inner.handle(sender, message, window);
        self.map.end();
    }
}
