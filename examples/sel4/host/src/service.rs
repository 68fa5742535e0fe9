//! Both clients behind one endpoint.

use alloc::sync::Arc;
use rumpload::resource::Clock;
use rumpload_l4::{Injector, Interface, Message, Resources, Sender, Server, Service, Window};
use sel4_runtime::layout::badge;

/// What each client is served. The client may make answers to the domain with the library go wrong, for tests.
pub struct Clients {
    rump: Injector<Server>,
    client: Server,
}

impl Clients {
    /// Serves `rump` and `client`; delays are slept on `clock`.
    pub fn new(rump: Resources, client: Resources, clock: Arc<dyn Clock>) -> Self {
        Self { rump: Injector::new(Server::new(rump), Sender(badge::CLIENT), clock), client: Server::new(client) }
    }
}

impl Service for Clients {
    fn handle(&mut self, sender: Sender, message: &mut Message, window: &Window) {
        let control = message.label.get() >> 8 & 0xff == Interface::Control as u32;
        if sender.0 == badge::CLIENT && !control {
            self.client.handle(sender, message, window);
        } else {
            self.rump.handle(sender, message, window);
        }
    }
}
