//! Networks.

use serde_json::{Map, Value, json};

use super::{Call, id_of};
use crate::engine::{Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::{json, options, output};

/// `network create`
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let ipam = ipam(call)?;
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| _ = body.insert(key.to_owned(), value);
    let text = |name: &str, default: &str| json!(flags.text(name).unwrap_or(default));
    put("Name", json!(call.args[0]));
    put("Driver", text("driver", "bridge"));
    put("Scope", text("scope", ""));
    if flags.given("ipv4") {
        put("EnableIPv4", json!(flags.on("ipv4")));
    }
    if flags.given("ipv6") {
        put("EnableIPv6", json!(flags.on("ipv6")));
    }
    put("IPAM", ipam);
    put("Internal", json!(flags.on("internal")));
    put("Attachable", json!(flags.on("attachable")));
    put("Ingress", json!(flags.on("ingress")));
    put("ConfigOnly", json!(flags.on("config-only")));
    put("ConfigFrom", flags.filled("config-from").map_or(Value::Null, |name| json!({"Network": name})));
    put("Options", options::pairs(&flags.all("opt")));
    put("Labels", options::pairs(&flags.all("label")));
    let answer = call.client()?.post("/networks/create", &Query::new(), Some(&Value::Object(body)))?;
    let warning = json::text(&answer, "Warning");
    if !warning.is_empty() {
        output::err(&format!("WARNING: {warning}\n"));
    }
    output::line(&id_of(&answer));
    Ok(())
}

fn ipam(call: &Call<'_>) -> Result<Value, Exit> {
    let flags = &call.flags;
    let subnets = flags.strings("subnet");
    let ranges = flags.strings("ip-range");
    let gateways = flags.strings("gateway");
    let auxiliary = flags.all("aux-address");
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err(Exit::error("every ip-range or gateway must have a corresponding subnet"));
    }
    let mut configs: Vec<(String, Map<String, Value>)> = Vec::new();
    for subnet in subnets {
        let mut config = Map::new();
        config.insert("Subnet".into(), json!(subnet));
        configs.push((subnet, config));
    }
    let mut assign = |key: &str, value: &str, what: &str| -> Outcome {
        let own = configs.iter_mut().find(|(subnet, config)| contains(subnet, value) && !config.contains_key(key));
        match own {
            Some((_, config)) => {
                config.insert(key.into(), json!(value));
                Ok(())
            }
            None => Err(Exit::error(format!("no matching subnet for {what} {value}"))),
        }
    };
    for range in &ranges {
        assign("IPRange", range, "range")?;
    }
    for gateway in &gateways {
        assign("Gateway", gateway, "gateway")?;
    }
    for pair in auxiliary {
        let (name, address) = pair.split_once('=').unwrap_or((pair, ""));
        let Some((_, config)) = configs.iter_mut().find(|(subnet, _)| contains(subnet, address)) else {
            return Err(Exit::error(format!("no matching subnet for aux-address {address}")));
        };
        let slot = config.entry("AuxiliaryAddresses").or_insert_with(|| json!({}));
        slot[name] = json!(address);
    }
    let configs: Vec<Value> = configs.into_iter().map(|(_, config)| Value::Object(config)).collect();
    Ok(json!({
        "Driver": flags.text("ipam-driver").unwrap_or("default"),
        "Options": options::pairs(&flags.all("ipam-opt")),
        "Config": configs,
    }))
}

/// Whether an address (or the first of a range) lies in a subnet.
fn contains(subnet: &str, address: &str) -> bool {
    use std::net::IpAddr;
    let address = address.split('/').next().unwrap_or_default();
    let Some((base, length)) = subnet.split_once('/') else { return false };
    let (Ok(base), Ok(address), Ok(length)) = (base.parse(), address.parse(), length.parse::<u32>()) else {
        return false;
    };
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            u32::from(base) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            u128::from(base) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// `network rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    let force = call.flags.on("force");
    let mut failed = false;
    for name in &call.args {
        match client.delete(&format!("/networks/{}", escape_path(name)), &Query::new()) {
            Ok(_) => output::line(name),
            Err(error) if force && error.is_not_found() => {}
            Err(error) => {
                output::err(&format!("{error}\n"));
                failed = true;
            }
        }
    }
    if failed { Err(Exit::error("exit status 1")) } else { Ok(()) }
}

/// `network rules`
pub(crate) fn rules(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    let mut names: Vec<String> = call.args.to_vec();
    if names.is_empty() {
        let all = client.get("/networks", &Query::new())?;
        names = all.as_array().into_iter().flatten().map(|n| json::text(n, "Name").to_owned()).collect();
        names.sort();
    }
    for (number, name) in names.iter().enumerate() {
        let path = format!("/networks/{}/rules", escape_path(name));
        let rules = client.get(&path, &Query::new()).map_err(|error| {
            let said = error.to_string();
            // a stock engine takes the last part of the path for a part of the name
            let unknown = said.contains("page not found") || said.contains(&format!("network {name}/rules not found"));
            if error.is_not_found() && unknown {
                return Exit::error(
                    "this engine does not explain its rules: iptables-save, or nft list ruleset, shows them on its machine",
                );
            }
            error.into()
        })?;
        if number > 0 {
            output::line("");
        }
        for fact in rules["Facts"].as_array().into_iter().flatten() {
            output::line(json::text(fact, "Words"));
            for rule in fact["Rules"].as_array().into_iter().flatten().filter(|_| !call.flags.on("words")) {
                output::line(&format!("    {}", rule.as_str().unwrap_or_default()));
            }
        }
    }
    Ok(())
}

/// `network connect`
pub(crate) fn connect(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let list = |items: Vec<String>| if items.is_empty() { Value::Null } else { json!(items) };
    let mut ipam = Map::new();
    for (key, flag) in [("IPv4Address", "ip"), ("IPv6Address", "ip6")] {
        if let Some(address) = flags.filled(flag) {
            ipam.insert(key.into(), json!(address));
        }
    }
    let local = flags.strings("link-local-ip");
    if !local.is_empty() {
        ipam.insert("LinkLocalIPs".into(), json!(local));
    }
    let links = flags.all("link").into_iter().map(str::to_owned).collect();
    let options = flags.strings("driver-opt");
    let endpoint = json!({
        "IPAMConfig": ipam, "Links": list(links), "Aliases": list(flags.strings("alias")), "MacAddress": "",
        "DriverOpts": options::pairs(&options), "GwPriority": flags.int("gw-priority").unwrap_or(0), "NetworkID": "",
        "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "DNSNames": null,
    });
    let body = json!({"Container": call.args[1], "EndpointConfig": endpoint});
    call.client()?.post(&format!("/networks/{}/connect", escape_path(&call.args[0])), &Query::new(), Some(&body))?;
    Ok(())
}

/// `network disconnect`
pub(crate) fn disconnect(call: &Call<'_>) -> Outcome {
    let body = json!({"Container": call.args[1], "Force": call.flags.on("force")});
    call.client()?.post(&format!("/networks/{}/disconnect", escape_path(&call.args[0])), &Query::new(), Some(&body))?;
    Ok(())
}
