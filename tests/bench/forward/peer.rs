//! One server in front of the upstream, and how many of its requests arrived there.

use std::path::Path;
use std::sync::Arc;

use crate::Outcome;
use crate::children::{Launcher, free_address};
use crate::gateway::Gateway;
use crate::load::{Expected, Tally};
use crate::nginx::Nginx;
use crate::proxy::{self, Script};
use crate::report::{GATEWAY, Measured, NGINX};
use crate::requests::{Request, Requests};
use crate::server::Server;
use crate::upstream::Upstream;

/// A server that runs.
pub(crate) struct Peer {
    /// What forwards.
    pub(crate) server: Server,
    /// Whether it refuses forged requests.
    checks: bool,
    due: u64,
    arrived: u64,
}

impl Peer {
    /// Starts the bare proxy.
    pub(crate) fn proxy(name: &'static str, launcher: &Launcher, upstream: &Upstream, scratch: &Path) -> Outcome<Self> {
        let script = Script { listen: free_address()?, upstream: upstream.address };
        let arguments = [proxy::ARGUMENT, &serde_json::to_string(&script)?];
        let process = launcher.start(&std::env::current_exe()?, &arguments, &scratch.join("proxy.log"))?;
        Self::new(Server::new(name, process, script.listen, Expected::Constant(upstream.body.as_bytes())), false)
    }

    /// Starts nginx.
    pub(crate) fn nginx(nginx: &Nginx, launcher: &Launcher, upstream: &Upstream, scratch: &Path) -> Outcome<Self> {
        let (process, address) = nginx.start(launcher, &scratch.join("nginx"), upstream.address)?;
        Self::new(Server::new(NGINX, process, address, Expected::Constant(upstream.body.as_bytes())), false)
    }

    /// Starts the gateway.
    pub(crate) fn gateway(gateway: &Gateway, launcher: &Launcher, upstream: &Upstream) -> Outcome<Self> {
        let expected = Expected::Checked { body: upstream.body.as_bytes(), whole: true };
        Self::new(Server::new(GATEWAY, gateway.start(launcher)?, gateway.address, expected), true)
    }

    fn new(server: Outcome<Server>, checks: bool) -> Outcome<Self> {
        Ok(Self { server: server?, checks, due: 0, arrived: 0 })
    }

    /// Looks at its memory, and warms it up: what the answers were.
    pub(crate) async fn prepare(&mut self, requests: &mut Requests) -> Outcome<Tally> {
        self.server.memory(requests.honest()?).await?;
        Ok(self.server.warm_up(&requests.fresh()?).await?.tally)
    }

    /// One round: what the answers were.
    pub(crate) async fn round(&mut self, requests: &Arc<[Request]>, upstream: &mut Upstream) -> Outcome<Tally> {
        let before = upstream.seen().await?;
        let [closed, open] = self.server.round(requests).await?;
        self.arrived += upstream.seen().await? - before;
        let mut tally = closed.tally;
        tally.add(open.tally);
        self.due += tally.answers - if self.checks { tally.forged } else { 0 };
        Ok(tally)
    }

    /// Ends the server; its figures stay.
    pub(crate) fn measured(self) -> Measured {
        Measured { figures: self.server.figures, due: self.due, arrived: self.arrived }
    }
}
