//! Networks.

use hyper::StatusCode;
use wharf_api::network;
use wharf_engine::{CreateNetwork, Pool};

use super::{Answer, Call, created, no_content, ok};
use crate::failure::Failure;
use crate::input::{self, Unread};
use crate::{body, json};

/// All, without their containers.
pub(super) async fn list(call: &Call<'_>) -> Answer {
    let networks = call.engine.network_list(call.query.filters()?).await?;
    let documents: Vec<_> = networks
        .into_iter()
        .map(|network| network::Network { containers: Default::default(), ..json::network(network) })
        .collect();
    ok(&documents)
}

/// One.
pub(super) async fn inspect(call: &Call<'_>, id: &str) -> Answer {
    let scope = call.query.string("scope");
    // what it adds is about networks of a swarm
    call.query.boolean("verbose")?;
    let network = call.engine.network_inspect(id).await?;
    if !scope.is_empty() && scope != network.scope {
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("network {id} not found")));
    }
    ok(&json::network(network))
}

/// What is open on one and why.
pub(super) async fn rules(call: &Call<'_>, id: &str) -> Answer {
    let explained = call.engine.network_rules(id).await?;
    let facts = explained.facts.into_iter().map(|f| network::Fact { words: f.words, rules: f.rules }).collect();
    let firewall = explained.firewall.as_str().into();
    ok(&network::Rules { network: explained.network, firewall, facts })
}

/// A new one.
pub(super) async fn create(call: &Call<'_>, body: Unread) -> Answer {
    let request: network::CreateRequest = input::optional(call.headers, body).await?;
    let ipam = request.ipam.unwrap_or_default();
    let pool = |config: network::IpamConfig| Pool {
        subnet: config.subnet,
        range: config.ip_range,
        gateway: config.gateway,
        auxiliary: config.auxiliary_addresses.unwrap_or_default(),
    };
    let request = CreateNetwork {
        name: request.name,
        driver: request.driver,
        scope: request.scope,
        internal: request.internal,
        attachable: request.attachable,
        ingress: request.ingress,
        ipv4: request.enable_ipv4,
        ipv6: request.enable_ipv6,
        ipam_driver: ipam.driver,
        ipam_options: ipam.options,
        pools: ipam.config.unwrap_or_default().into_iter().map(pool).collect(),
        options: request.options.unwrap_or_default(),
        labels: request.labels.unwrap_or_default(),
        config_only: request.config_only,
        config_from: request.config_from.map(|from| from.network).filter(|name| !name.is_empty()),
    };
    let (id, warning) = call.engine.network_create(request).await?;
    created(&network::Created { id: id.to_string(), warning })
}

/// Away with one.
pub(super) async fn remove(call: &Call<'_>, id: &str) -> Answer {
    call.engine.network_remove(id).await?;
    no_content()
}

/// A container joins.
pub(super) async fn connect(call: &Call<'_>, id: &str, body: Unread) -> Answer {
    let request: network::ConnectRequest = input::optional(call.headers, body).await?;
    call.engine.network_connect(id, &request.container, request.endpoint_config.unwrap_or_default()).await?;
    Ok(body::empty(StatusCode::OK))
}

/// A container leaves.
pub(super) async fn disconnect(call: &Call<'_>, id: &str, body: Unread) -> Answer {
    let request: network::DisconnectRequest = input::optional(call.headers, body).await?;
    call.engine.network_disconnect(id, &request.container, request.force).await?;
    Ok(body::empty(StatusCode::OK))
}

/// Away with all that nobody uses.
pub(super) async fn prune(call: &Call<'_>) -> Answer {
    let pruned = call.engine.network_prune(call.query.filters()?).await?;
    ok(&network::Pruned { networks_deleted: (!pruned.deleted.is_empty()).then_some(pruned.deleted) })
}
