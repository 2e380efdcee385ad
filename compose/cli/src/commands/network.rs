//! `network`.

use rcompose_model::project::IpamPool;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Removed, ResourceSummary};
use serde_json::json;

use super::filter::Filters;
use super::{change_nothing_in_dry_runs, described, inspect, joined, pairs, remove_named, show_created, show_removed};
use crate::arguments::{CreateNetwork, List, Network};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::short_id;
use crate::output::{self, Format, Listing, Row};
use crate::settings::World;

pub(crate) async fn network(world: &World, command: Network) -> Result<Exit, CommandError> {
    change_nothing_in_dry_runs(world, matches!(command, Network::Create(_) | Network::Rm(_) | Network::Prune { .. }))?;
    let mut client = Client::connect(&world.supervisor).await?;
    match command {
        Network::Create(arguments) => create(&mut client, arguments).await,
        Network::Ls(arguments) => list(&mut client, &arguments).await,
        Network::Rm(arguments) => remove_named(&mut client, "/v1/networks/remove", arguments).await,
        Network::Inspect(arguments) => {
            let all = client.get("/v1/networks").await?;
            inspect(described(all, "network", &arguments.names)?, arguments.format.as_deref())
        }
        Network::Prune { force } => prune(&mut client, force).await,
    }
}

async fn create(client: &mut Client, arguments: CreateNetwork) -> Result<Exit, CommandError> {
    let CreateNetwork { subnets, mut gateways, mut ranges, .. } = arguments;
    // Each belongs to the subnet that it lies in.
    let mut pool = |subnet: ipnet::IpNet| IpamPool {
        subnet: Some(subnet.to_string()),
        gateway: gateways.iter().position(|gateway| subnet.contains(gateway)).map(|index| gateways.remove(index)),
        ip_range: ranges.iter().position(|range| subnet.contains(range)).map(|index| ranges.remove(index).to_string()),
        ..IpamPool::default()
    };
    let ipam = subnets.into_iter().map(&mut pool).collect();
    let stray = gateways.iter().map(ToString::to_string).chain(ranges.iter().map(ToString::to_string)).next();
    if let Some(stray) = stray {
        return Err(CommandError::Usage(format!("{stray} lies in no `--subnet`")));
    }
    let network = rcompose_model::project::Network {
        name: arguments.name,
        driver: arguments.driver,
        driver_opts: pairs(&arguments.options),
        internal: arguments.internal,
        enable_ipv4: true,
        enable_ipv6: arguments.ipv6,
        ipam,
        labels: pairs(&arguments.labels),
        ..rcompose_model::project::Network::default()
    };
    show_created(&client.post("/v1/networks/create", &network).await?)
}

async fn list(client: &mut Client, arguments: &List) -> Result<Exit, CommandError> {
    let format = Format::parse(&arguments.format)?;
    let filters = Filters::parse(&arguments.filter, &["name", "label", "driver", "dangling", "id"])?;
    let mut all: Vec<ResourceSummary> = client.get("/v1/networks").await?;
    let id = |it: &ResourceSummary| it.inspect["Id"].as_str().unwrap_or_default().to_owned();
    all.retain(|it| {
        filters.fits("name", |name| it.name.contains(name))
            && filters.fits("driver", |driver| it.driver == driver)
            && filters.fits("id", |wanted| id(it).starts_with(wanted))
            && filters.fits_labels(&it.inspect["Labels"])
            && filters.fits_dangling(it.users.is_empty())
    });
    let shown_id = |it: &ResourceSummary| if arguments.no_trunc { id(it) } else { short_id(&id(it)) };
    if arguments.quiet {
        all.iter().try_for_each(|it| output::print(&format!("{}\n", shown_id(it))))?;
        return Ok(Exit::Success);
    }
    let row = |it: &ResourceSummary| Row {
        fields: json!({
            "CreatedAt": it.inspect["Created"],
            "Driver": it.driver,
            "ID": shown_id(it),
            "IPv4": "true",
            "IPv6": "false",
            "Internal": it.inspect["Internal"].to_string(),
            "Labels": joined(&it.inspect["Labels"]),
            "Name": it.name,
            "Scope": "local",
        }),
        labels: it.inspect["Labels"].clone(),
    };
    let columns = &[("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope")];
    Listing::new(columns, all.iter().map(row).collect()).print(&format)?;
    Ok(Exit::Success)
}

async fn prune(client: &mut Client, force: bool) -> Result<Exit, CommandError> {
    if !force && !output::confirm_removal("This will remove all networks that no container uses.")? {
        return Ok(Exit::Success);
    }
    let removed: Removed = client.post("/v1/networks/prune", &()).await?;
    show_removed("Deleted Networks", removed.deleted, None)
}
