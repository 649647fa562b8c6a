//! `prune` of every kind.

use serde_json::Value;

use super::{Call, confirm};
use crate::engine::Query;
use crate::exit::{Exit, Outcome};
use crate::{human, json, options, output};

fn filters(call: &Call<'_>, extra: &[&str]) -> Query {
    let mut values = call.flags.all("filter");
    values.extend(extra);
    match options::filters(&values) {
        Some(filters) => Query::new().with("filters", filters),
        None => Query::new(),
    }
}

fn agreed(call: &Call<'_>, warning: &str) -> Outcome {
    if call.flags.on("force") || confirm(&format!("{warning}\nAre you sure you want to continue?")) {
        return Ok(());
    }
    // a "no" is no error
    Err(Exit::code(0))
}

fn listing(title: &str, items: &[String]) -> String {
    if items.is_empty() { String::new() } else { format!("{title}:\n{}\n\n", items.join("\n")) }
}

fn names(answer: &Value, key: &str) -> Vec<String> {
    json::strings(answer, key).into_iter().map(str::to_owned).collect()
}

fn reclaimed(bytes: i64) -> String {
    format!("Total reclaimed space: {}\n", human::size(bytes as f64))
}

/// `container prune`
pub(crate) fn containers(call: &Call<'_>) -> Outcome {
    agreed(call, "WARNING! This will remove all stopped containers.")?;
    let answer = call.client()?.post("/containers/prune", &filters(call, &[]), None)?;
    output::out(&listing("Deleted Containers", &names(&answer, "ContainersDeleted")));
    output::out(&reclaimed(json::int(&answer, "SpaceReclaimed")));
    Ok(())
}

fn deleted_images(answer: &Value) -> Vec<String> {
    let lines = json::list(answer, "ImagesDeleted").iter().map(|item| match json::text(item, "Deleted") {
        "" => format!("untagged: {}", json::text(item, "Untagged")),
        deleted => format!("deleted: {deleted}"),
    });
    lines.collect()
}

/// `image prune`
pub(crate) fn images(call: &Call<'_>) -> Outcome {
    let all = call.flags.on("all");
    agreed(
        call,
        if all {
            "WARNING! This will remove all images without at least one container associated to them."
        } else {
            "WARNING! This will remove all dangling images."
        },
    )?;
    let dangling = if all { "dangling=false" } else { "dangling=true" };
    let answer = call.client()?.post("/images/prune", &filters(call, &[dangling]), None)?;
    output::out(&listing("Deleted Images", &deleted_images(&answer)));
    output::out(&reclaimed(json::int(&answer, "SpaceReclaimed")));
    Ok(())
}

/// `network prune`
pub(crate) fn networks(call: &Call<'_>) -> Outcome {
    agreed(call, "WARNING! This will remove all custom networks not used by at least one container.")?;
    let answer = call.client()?.post("/networks/prune", &filters(call, &[]), None)?;
    let deleted = names(&answer, "NetworksDeleted");
    if !deleted.is_empty() {
        output::out(&format!("Deleted Networks:\n{}\n\n", deleted.join("\n")));
    }
    Ok(())
}

/// `volume prune`
pub(crate) fn volumes(call: &Call<'_>) -> Outcome {
    let all = call.flags.on("all");
    agreed(
        call,
        if all {
            "WARNING! This will remove all local volumes not used by at least one container."
        } else {
            "WARNING! This will remove anonymous local volumes not used by at least one container."
        },
    )?;
    let extra: &[&str] = if all { &["all=true"] } else { &[] };
    let answer = call.client()?.post("/volumes/prune", &filters(call, extra), None)?;
    output::out(&listing("Deleted Volumes", &names(&answer, "VolumesDeleted")));
    output::out(&reclaimed(json::int(&answer, "SpaceReclaimed")));
    Ok(())
}

/// `system prune`
pub(crate) fn everything(call: &Call<'_>) -> Outcome {
    let (all, volumes) = (call.flags.on("all"), call.flags.on("volumes"));
    let mut warning = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if volumes {
        warning.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    warning.push_str(if all {
        "  - all images without at least one container associated to them\n  - all build cache\n"
    } else {
        "  - all dangling images\n  - unused build cache\n"
    });
    let mut shown = call.flags.all("filter");
    if !shown.is_empty() {
        shown.sort_unstable();
        warning.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in shown {
            warning.push_str(&format!("  - {filter}\n"));
        }
    }
    agreed(call, &warning)?;
    let client = call.client()?;
    let answer = client.post("/containers/prune", &filters(call, &[]), None)?;
    let mut space = json::int(&answer, "SpaceReclaimed");
    output::out(&listing("Deleted Containers", &names(&answer, "ContainersDeleted")));
    let answer = client.post("/networks/prune", &filters(call, &[]), None)?;
    output::out(&listing("Deleted Networks", &names(&answer, "NetworksDeleted")));
    if volumes {
        let answer = client.post("/volumes/prune", &filters(call, &[]), None)?;
        space += json::int(&answer, "SpaceReclaimed");
        output::out(&listing("Deleted Volumes", &names(&answer, "VolumesDeleted")));
    }
    let dangling = if all { "dangling=false" } else { "dangling=true" };
    let answer = client.post("/images/prune", &filters(call, &[dangling]), None)?;
    space += json::int(&answer, "SpaceReclaimed");
    output::out(&listing("Deleted Images", &deleted_images(&answer)));
    // an engine without a builder has no cache to clean
    if let Ok(answer) = client.post("/build/prune", &filters(call, &[]).when(all, "all", "1"), None) {
        space += json::int(&answer, "SpaceReclaimed");
        output::out(&listing("Deleted build cache objects", &names(&answer, "CachesDeleted")));
    }
    output::out(&reclaimed(space));
    Ok(())
}
