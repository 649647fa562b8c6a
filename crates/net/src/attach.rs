//! A container gets its place on networks, and gives it back.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use wharf_netlink::{Batch, LinkName};

use crate::bridge::{self, Plug, mac_of};
use crate::departure::Departure;
use crate::dns;
use crate::firewall::{Change, Hole};
use crate::inner::{Inner, step};
use crate::machine::random;
use crate::netns::lock;
use crate::publish::Policy;
use crate::rows::{self, Reservation};
use crate::world::{World, published};
use crate::{
    Attach, ContainerId, Driver, Endpoint, EndpointId, EndpointRequest, Error, Family, GatewayMode, Netns, Network,
    Networks, Result, Sandbox, Subnet, ipam, macvlan,
};

/// Number of the first interface we make; `lo` is 1.
const FIRST_INDEX: u32 = 2;
/// From so many published ports on a thread more costs less than it saves.
const MANY_PORTS: usize = 64;

impl Networks {
    /// Gives a starting container everything at once: addresses, interfaces, routes, published ports. All or nothing.
    ///
    /// With an endpoint on `host` or `none` nothing is made in the namespace.
    pub fn attach(&self, container: &ContainerId, netns: &Netns, wish: &Attach) -> Result<Sandbox> {
        let inner = &*self.inner;
        if inner.world().sandboxes.contains_key(container) {
            // of a run that ended without a word
            self.detach(container)?;
        }
        let firewall = !wish.ports.is_empty() || !wish.links.is_empty() || !wish.exposed.is_empty();
        let mut wall = firewall.then(|| lock(&inner.wall));
        let room = netns.again()?;
        let (mut sandbox, networks, holes) = inner.world().admit(container, wish, inner)?;
        sandbox.dns = inner.names.is_some() && networks.iter().any(|n| dns::has_names(n));
        let made = std::thread::scope(|scope| {
            let open = || inner.open_ports(container, &sandbox, Some(netns));
            // handing over many takes as long as all the rest
            let opening = (sandbox.ports.len() >= MANY_PORTS).then(|| scope.spawn(open));
            inner.plug_all(netns, &sandbox, &networks)?;
            step("net.attach.after_links")?;
            if let Some(wall) = wall.as_deref_mut() {
                let change = Change { ports_come: &published(&sandbox), holes_come: &holes, ..Change::default() };
                wall.change(&change, || inner.world().declared())?;
            }
            step("net.attach.after_firewall")?;
            match opening {
                Some(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
                None => open()?,
            }
            step("net.attach.after_ports")?;
            // a container that cannot ask would wait for every name until it gives up: then rather no container
            if sandbox.dns { inner.serve_names(netns, container, &sandbox) } else { Ok(()) }
        });
        if let Err(error) = made {
            inner.forget_names(container, &sandbox);
            inner.close_ports(container, &sandbox);
            inner.unplug_all(&sandbox);
            inner.world().dismiss(container);
            if let Some(wall) = wall.as_deref_mut() {
                // as declared, which is without this container
                wall.replace(&inner.world().declared())?;
            }
            return Err(error);
        }
        {
            let mut world = inner.world();
            world.sandboxes.insert(container.clone(), sandbox.clone());
            world.rooms.insert(container.clone(), room);
        }
        rows::put_sandbox(&inner.db, container, &sandbox);
        Ok(sandbox)
    }

    /// Takes everything back from a container that has ended. Never waits for its interfaces: they go with the namespace.
    /// Does nothing when there is nothing.
    pub fn detach(&self, container: &ContainerId) -> Result<()> {
        let inner = &*self.inner;
        let Some(sandbox) = self.sandbox(container) else { return Ok(()) };
        inner.forget_names(container, &sandbox);
        inner.close_ports(container, &sandbox);
        let holes = inner.world().holes();
        let firewall = !sandbox.ports.is_empty() || !holes.is_empty();
        let mut wall = firewall.then(|| lock(&inner.wall));
        let holes: Vec<Hole> = {
            let mut world = inner.world();
            world.dismiss(container);
            let left = world.holes();
            holes.into_iter().filter(|h| left.binary_search(h).is_err()).collect()
        };
        rows::delete_sandbox(&inner.db, container);
        let Some(wall) = wall.as_deref_mut() else { return Ok(()) };
        let change = Change { ports_go: &published(&sandbox), holes_go: &holes, ..Change::default() };
        wall.change(&change, || inner.world().declared())
    }

    /// Adds a running container to a network.
    pub fn connect(&self, container: &ContainerId, netns: &Netns, request: &EndpointRequest) -> Result<Endpoint> {
        let inner = &*self.inner;
        let mut wall = lock(&inner.wall);
        let (endpoint, network, before, mut sandbox, holes) = {
            let mut world = inner.world();
            let holes = world.holes();
            let network = world.find(&request.network)?;
            let old = world.sandboxes.get(container).cloned().unwrap_or_default();
            check_connect(&network, &old)?;
            let name = old.endpoints.first().map_or_else(String::new, |e| e.container_name.clone());
            let used: Vec<_> = old.endpoints.iter().map(|e| e.interface.clone()).collect();
            let endpoint = world.endpoint(container, &name, &network, request, &used)?;
            let sandbox = world.sandboxes.entry(container.clone()).or_default();
            sandbox.endpoints.push(endpoint.clone());
            let after = sandbox.clone();
            let come: Vec<Hole> = world.holes().into_iter().filter(|h| holes.binary_search(h).is_err()).collect();
            (endpoint, network, old, after, come)
        };
        let made = inner.plug_live(netns, &endpoint, &network).and_then(|()| inner.reroute(netns, &sandbox));
        if let Err(error) = made {
            inner.world().dismiss_endpoint(container, &endpoint);
            inner.unplug_endpoint(netns, &endpoint);
            return Err(error);
        }
        // it may be the way in for ports that had none, and what links open on it is open now
        let (old, new) = (published(&before), published(&sandbox));
        if old != new || !holes.is_empty() {
            let changed = old != new;
            let (go, come): (&[_], &[_]) = if changed { (&old, &new) } else { (&[], &[]) };
            let change = Change { ports_go: go, ports_come: come, holes_come: &holes, ..Change::default() };
            wall.change(&change, || inner.world().declared())?;
        }
        drop(wall);
        if old != new {
            inner.redirect_ports(container, &sandbox);
        }
        step("net.connect.after_link")?;
        if sandbox.dns {
            inner.rename(container, &sandbox);
        } else if inner.names.is_some() && dns::has_names(&network) {
            sandbox.dns = true;
            if let Err(error) = inner.serve_names(netns, container, &sandbox) {
                // what it runs goes on as before, with the resolvers that it has
                tracing::error!(%container, %error, "names of other containers are not known to it");
                sandbox.dns = false;
            }
            let mut world = inner.world();
            world.sandboxes.insert(container.clone(), sandbox.clone());
            world.rooms.insert(container.clone(), netns.again()?);
        }
        rows::put_sandbox(&inner.db, container, &sandbox);
        Ok(endpoint)
    }

    /// Removes a running container from a network.
    pub fn disconnect(&self, container: &ContainerId, netns: &Netns, network: &str) -> Result<()> {
        let inner = &*self.inner;
        let mut wall = lock(&inner.wall);
        let (endpoint, before, after, holes) = {
            let mut world = inner.world();
            let holes = world.holes();
            let network = world.find(network)?;
            let missing = || Error::NotConnected { container: container.to_string(), network: network.name.clone() };
            let before = world.sandboxes.get(container).cloned().ok_or_else(missing)?;
            let endpoint = before.endpoints.iter().find(|e| e.network == network.id).cloned().ok_or_else(missing)?;
            world.dismiss_endpoint(container, &endpoint);
            let left = world.holes();
            let gone: Vec<Hole> = holes.into_iter().filter(|h| left.binary_search(h).is_err()).collect();
            (endpoint, before, world.sandboxes.get(container).cloned().unwrap_or_default(), gone)
        };
        let (old, new) = (published(&before), published(&after));
        if old != new || !holes.is_empty() {
            let changed = old != new;
            let (go, come): (&[_], &[_]) = if changed { (&old, &new) } else { (&[], &[]) };
            let change = Change { ports_go: go, ports_come: come, holes_go: &holes, ..Change::default() };
            wall.change(&change, || inner.world().declared())?;
        }
        drop(wall);
        if old != new {
            inner.redirect_ports(container, &after);
        }
        step("net.disconnect.after_firewall")?;
        inner.rename(container, &after);
        inner.unplug_endpoint(netns, &endpoint);
        inner.reroute(netns, &after)?;
        rows::put_sandbox(&inner.db, container, &after);
        Ok(())
    }

    /// Keeps a static address for a container that does not run (at create, or connect to a stopped one), so that nobody
    /// gets it meanwhile. [`Networks::forget`] lets it go. Also the check of a static address before anything is made.
    pub fn reserve(&self, container: &ContainerId, request: &EndpointRequest) -> Result<()> {
        let inner = &*self.inner;
        for address in static_addresses(request) {
            let reservation = {
                let mut world = inner.world();
                let network = world.find(&request.network)?;
                check_static(&network, address)?;
                world.take_static(&network, address, container)?;
                Reservation { container: container.clone(), network: network.id.clone(), address }
            };
            rows::put_reservation(&inner.db, &reservation)?;
            let mut world = inner.world();
            if !world.reservations.contains(&reservation) {
                world.reservations.push(reservation);
            }
        }
        Ok(())
    }

    /// Whether a container with this wish gets a resolver of ours at [`crate::DNS_ADDRESS`]: its `/etc/resolv.conf` should
    /// name that one and nobody else then.
    pub fn answers_names(&self, wish: &Attach) -> bool {
        let world = self.inner.world();
        let named = |e: &EndpointRequest| world.find(&e.network).is_ok_and(|n| dns::has_names(&n));
        self.inner.names.is_some() && wish.endpoints.iter().any(named)
    }

    /// The container is removed: detach, and let reserved addresses go.
    pub fn forget(&self, container: &ContainerId) -> Result<()> {
        self.detach(container)?;
        self.release(|r| r.container == *container)
    }

    /// A stopped container is disconnected from a network: lets its reserved addresses there go.
    pub fn release_on(&self, container: &ContainerId, network: &Network) -> Result<()> {
        self.release(|r| r.container == *container && r.network == network.id)
    }

    fn release(&self, which: impl Fn(&Reservation) -> bool) -> Result<()> {
        let inner = &*self.inner;
        let gone: Vec<Reservation> = {
            let mut world = inner.world();
            let all = std::mem::take(&mut world.reservations);
            let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|r| which(r));
            world.reservations = kept;
            for r in &gone {
                world.give_back(&r.network, r.address, &r.container);
            }
            gone
        };
        rows::delete_reservations(&inner.db, &gone)
    }
}

/// Whether a container that runs may be connected, in Docker's words.
fn check_connect(network: &Network, sandbox: &Sandbox) -> Result<()> {
    if network.config_only {
        return Err(Error::Forbidden(NOBODY.into()));
    }
    let name = sandbox.endpoints.first().map_or("", |e| e.container_name.as_str());
    if sandbox.endpoints.iter().any(|e| e.network == network.id) {
        return Err(Error::Forbidden(format!("endpoint with name {name} already exists in network {}", network.name)));
    }
    match network.driver {
        Driver::Host => Err(Error::Forbidden(
            "cannot connect container to host network - container must be created in host network mode".into(),
        )),
        Driver::None => Err(Error::Forbidden(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode".into(),
        )),
        Driver::Bridge | Driver::Macvlan | Driver::Ipvlan => Ok(()),
    }
}

/// Who wants to be on a network that is only a configuration is told so.
const NOBODY: &str = "cannot create endpoint on configuration-only network";

/// The prefix that an address of that kind has (RFC 3927, RFC 4291).
fn link_local(address: IpAddr) -> Option<Subnet> {
    Subnet::new(address, if address.is_ipv4() { 16 } else { 64 })
}

/// The option by which an endpoint names its interface.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

fn static_addresses(request: &EndpointRequest) -> impl Iterator<Item = IpAddr> {
    request.ipv4.map(IpAddr::from).into_iter().chain(request.ipv6.map(IpAddr::from))
}

fn check_static(network: &Network, address: IpAddr) -> Result<()> {
    ipam::check_static(network, address).map_err(|line| {
        let text = format!("invalid config for network {}: invalid endpoint settings:\n{line}", network.name);
        Error::Invalid(text)
    })
}

/// An interface that the user named.
fn interface_name(name: &str, used: &[String]) -> Result<String> {
    let name = crate::create::link_name(name)?;
    if name == "lo" || used.contains(&name) {
        return Err(Error::Invalid(format!("interface name {name} is used more than once")));
    }
    Ok(name)
}

impl World {
    /// Decides addresses and ports of a container and enters it: from here on they are taken.
    fn admit(
        &mut self,
        container: &ContainerId,
        wish: &Attach,
        inner: &Inner,
    ) -> Result<(Sandbox, Vec<Arc<Network>>, Vec<Hole>)> {
        let networks = wish.endpoints.iter().map(|e| self.find(&e.network)).collect::<Result<Vec<_>>>()?;
        let before = if wish.links.is_empty() && wish.exposed.is_empty() { Vec::new() } else { self.holes() };
        let mut sandbox = Sandbox { exposed: wish.exposed.clone(), links: wish.links.clone(), ..Sandbox::default() };
        dns::wished(&mut sandbox, wish);
        self.sandboxes.insert(container.clone(), Sandbox::default());
        let result = self.fill(container, wish, &networks, &mut sandbox, inner);
        // also on failure: dismissing gives back what was taken so far
        self.sandboxes.insert(container.clone(), sandbox.clone());
        if let Err(error) = result {
            self.dismiss(container);
            return Err(error);
        }
        let holes = if wish.links.is_empty() && wish.exposed.is_empty() { Vec::new() } else { self.holes() };
        Ok((sandbox, networks, holes.into_iter().filter(|h| before.binary_search(h).is_err()).collect()))
    }

    fn fill(
        &mut self,
        container: &ContainerId,
        wish: &Attach,
        networks: &[Arc<Network>],
        sandbox: &mut Sandbox,
        inner: &Inner,
    ) -> Result<()> {
        for (request, network) in wish.endpoints.iter().zip(networks) {
            let used: Vec<_> = sandbox.endpoints.iter().map(|e| e.interface.clone()).collect();
            let endpoint = self.endpoint(container, &wish.name, network, request, &used)?;
            sandbox.endpoints.push(endpoint);
        }
        let publisher = sandbox.endpoints.iter().zip(networks).find(|(_, n)| n.bridge.is_some() && !n.internal);
        if let Some((endpoint, network)) = publisher {
            let default_ip = network.bridge.as_ref().and_then(|b| b.host_binding).or(inner.config.host_binding);
            let routed = |family| network.bridge.as_ref().is_some_and(|b| b.mode(family) == GatewayMode::Routed);
            let policy = Policy {
                routed: (routed(Family::V4), routed(Family::V6) && endpoint.ipv6.is_some()),
                range: inner.config.publish_range.clone(),
                default_ip,
                ipv6: inner.ipv6,
                proxy: inner.config.userland_proxy,
                target: endpoint.ipv4.or(endpoint.ipv6).map(|a| a.address),
            };
            sandbox.ports = self.ports.take(&wish.ports, &policy).map_err(|error| match error {
                Error::Conflict(text) => Error::Conflict(format!(
                    "driver failed programming external connectivity on endpoint {} ({}): {text}",
                    wish.name, endpoint.id
                )),
                other => other,
            })?;
        }
        Ok(())
    }

    /// Takes addresses for an endpoint and names its interfaces.
    fn endpoint(
        &mut self,
        container: &ContainerId,
        container_name: &str,
        network: &Network,
        request: &EndpointRequest,
        used: &[String],
    ) -> Result<Endpoint> {
        let mut endpoint = Endpoint {
            id: EndpointId::generate(|bytes| random(bytes)),
            container: container.clone(),
            container_name: container_name.to_owned(),
            network: network.id.clone(),
            network_name: network.name.clone(),
            interface: String::new(),
            host_interface: String::new(),
            mac: None,
            ipv4: None,
            ipv6: None,
            gateway: None,
            gateway6: None,
            routed: !network.internal && macvlan::is_routed(network),
            gw_priority: request.gw_priority,
            dns_names: request.dns_names.clone(),
            links: request.links.clone(),
            link_local: request.link_local.iter().filter_map(|ip| link_local(*ip)).collect(),
        };
        if network.config_only {
            return Err(Error::Forbidden(NOBODY.into()));
        }
        let prefix = match network.driver {
            Driver::Host | Driver::None => return Ok(endpoint),
            Driver::Bridge => network.bridge.as_ref().map_or("eth", |b| b.prefix.as_str()),
            Driver::Macvlan | Driver::Ipvlan => "eth",
        };
        for address in static_addresses(request) {
            check_static(network, address)?;
        }
        let taken = self.take_addresses(container, network, request, &mut endpoint);
        if let Err(error) = taken {
            for address in [endpoint.ipv4, endpoint.ipv6].into_iter().flatten() {
                self.give_back(&network.id, address.address, container);
            }
            return Err(error);
        }
        for pool in network.pools.iter().filter(|_| !network.internal && !endpoint.routed) {
            let told = if pool.subnet.is_ipv4() { "DefaultGatewayIPv4" } else { "DefaultGatewayIPv6" };
            let gateway = pool.aux.get(told).copied().or(pool.gateway);
            *(if pool.subnet.is_ipv4() { &mut endpoint.gateway } else { &mut endpoint.gateway6 }) = gateway;
        }
        endpoint.mac = request.mac.or_else(|| endpoint.ipv4.or(endpoint.ipv6).map(|a| mac_of(a.address)));
        if network.driver == Driver::Ipvlan {
            // it has that of its parent
            endpoint.mac = None;
        }
        endpoint.interface = match request.options.get(INTERFACE) {
            None => (0..).map(|n: u32| format!("{prefix}{n}")).find(|name| !used.contains(name)).unwrap_or_default(),
            Some(name) => interface_name(name, used)?,
        };
        if network.driver == Driver::Bridge {
            // seven digits of the endpoint's identifier: as in Docker, and unlikely enough to be there twice
            endpoint.host_interface = format!("veth{}", &endpoint.id.as_str()[..7]);
        }
        Ok(endpoint)
    }

    fn take_addresses(
        &mut self,
        container: &ContainerId,
        network: &Network,
        request: &EndpointRequest,
        endpoint: &mut Endpoint,
    ) -> Result<()> {
        for pool in self.pools.get_mut(&network.id).into_iter().flatten() {
            let v4 = pool.subnet().is_ipv4();
            let wanted = if v4 { request.ipv4.map(IpAddr::from) } else { request.ipv6.map(IpAddr::from) };
            let address = match wanted {
                Some(address) => pool.take_static(address, container)?,
                None => pool
                    .take(container)
                    .ok_or_else(|| Error::Exhausted { network: network.name.clone(), id: network.id.to_string() })?,
            };
            *(if v4 { &mut endpoint.ipv4 } else { &mut endpoint.ipv6 }) = Some(address);
        }
        Ok(())
    }

    fn take_static(&mut self, network: &Network, address: IpAddr, container: &ContainerId) -> Result<()> {
        let pools = self.pools.get_mut(&network.id).into_iter().flatten();
        for pool in pools.filter(|p| p.subnet().contains(address)) {
            pool.take_static(address, container)?;
        }
        Ok(())
    }

    fn give_back(&mut self, network: &crate::NetworkId, address: IpAddr, container: &ContainerId) {
        let reserved = self.reservations.iter().any(|r| r.container == *container && r.address == address);
        let pools = self.pools.get_mut(network).into_iter().flatten();
        for pool in pools.filter(|p| !reserved && p.subnet().contains(address)) {
            pool.give_back(address, container);
        }
    }

    /// Everything the container has is free again.
    fn dismiss(&mut self, container: &ContainerId) {
        self.rooms.remove(container);
        let Some(sandbox) = self.sandboxes.remove(container) else { return };
        for endpoint in &sandbox.endpoints {
            self.give_back_endpoint(endpoint);
        }
        self.ports.give_back(&sandbox.ports);
    }

    fn dismiss_endpoint(&mut self, container: &ContainerId, endpoint: &Endpoint) {
        if let Some(sandbox) = self.sandboxes.get_mut(container) {
            sandbox.endpoints.retain(|e| e.id != endpoint.id);
        }
        self.give_back_endpoint(endpoint);
    }

    fn give_back_endpoint(&mut self, endpoint: &Endpoint) {
        for address in [endpoint.ipv4, endpoint.ipv6].into_iter().flatten() {
            self.give_back(&endpoint.network, address.address, &endpoint.container);
        }
    }
}

/// Which endpoint is the way out: the first of the highest priority that leads anywhere, per family.
fn ways_out(sandbox: &Sandbox) -> (Option<&Endpoint>, Option<&Endpoint>) {
    let best = |has: fn(&Endpoint) -> bool| {
        let with = sandbox.endpoints.iter().filter(move |e| has(e) && !e.interface.is_empty());
        with.fold(
            None::<&Endpoint>,
            |best, e| if best.is_none_or(|b| e.gw_priority > b.gw_priority) { Some(e) } else { best },
        )
    };
    let four = |e: &Endpoint| e.gateway.is_some() || e.routed && e.ipv4.is_some();
    let six = |e: &Endpoint| e.gateway6.is_some() || e.routed && e.ipv6.is_some();
    (best(four), best(six))
}

impl Inner {
    /// Makes all interfaces of a fresh namespace.
    fn plug_all(&self, netns: &Netns, sandbox: &Sandbox, networks: &[Arc<Network>]) -> Result<()> {
        let ways = ways_out(sandbox);
        let is = |way: Option<&Endpoint>, e: &Endpoint| way.is_some_and(|w| w.id == e.id);
        let first = if netns.is_fresh() { FIRST_INDEX } else { next_index(netns)? };
        let real = sandbox.endpoints.iter().zip(networks).filter(|(e, _)| !e.interface.is_empty());
        for ((endpoint, network), index) in real.zip(first..) {
            let default_route = (is(ways.0, endpoint), is(ways.1, endpoint));
            self.plug(netns, endpoint, network, index, default_route)?;
        }
        netns.seal()
    }

    fn plug_live(&self, netns: &Netns, endpoint: &Endpoint, network: &Network) -> Result<()> {
        // `reroute` decides about the way out afterwards
        self.plug(netns, endpoint, network, next_index(netns)?, (false, false))
    }

    pub(crate) fn plug(
        &self,
        netns: &Netns,
        endpoint: &Endpoint,
        network: &Network,
        index: u32,
        default_route: (bool, bool),
    ) -> Result<()> {
        let mtu = network.bridge.as_ref().map_or(0, |b| b.mtu);
        let plug = Plug { endpoint, index, mtu, ipv6: network.ipv6, default_route };
        match &network.bridge {
            Some(options) => self.with_route(|host| bridge::plug(host, self.home.as_fd(), netns, options, &plug)),
            None if matches!(network.driver, Driver::Macvlan | Driver::Ipvlan) => {
                self.with_route(|host| macvlan::plug(host, netns, network, &plug))
            }
            None => Ok(()),
        }
    }

    /// Points the default routes of a running container at its ways out.
    pub(crate) fn reroute(&self, netns: &Netns, sandbox: &Sandbox) -> Result<()> {
        let (v4, v6) = ways_out(sandbox);
        netns.with_socket(|inside| {
            let mut batch = Batch::new();
            for (way, v4) in [(v4, true), (v6, false)] {
                let Some(way) = way else { continue };
                let link = inside.link(LinkName::Name(&way.interface))?.map(|l| l.index);
                batch.add_route(&bridge::default_route(way, v4, link));
            }
            Ok(inside.run(&batch)?)
        })
    }

    /// Undoes what was made for a container that did not come up.
    fn unplug_all(&self, sandbox: &Sandbox) {
        for endpoint in sandbox.endpoints.iter().filter(|e| !e.host_interface.is_empty()) {
            if let Err(error) = self.with_route(|host| bridge::unplug(host, &endpoint.host_interface)) {
                tracing::error!(%error, "an interface stays");
            }
        }
    }

    fn unplug_endpoint(&self, netns: &Netns, endpoint: &Endpoint) {
        let result = if endpoint.host_interface.is_empty() {
            netns.within(Departure::prepare).and_then(|departure| departure.remove(&endpoint.interface))
        } else {
            Departure::prepare().and_then(|departure| departure.remove(&endpoint.host_interface))
        };
        if let Err(error) = result {
            tracing::error!(%error, "an interface stays");
        }
    }
}

/// A number no interface of the namespace has.
fn next_index(netns: &Netns) -> Result<u32> {
    let links = netns.with_socket(|inside| Ok(inside.links()?))?;
    Ok(links.iter().map(|l| l.index).max().unwrap_or(1).saturating_add(1))
}
