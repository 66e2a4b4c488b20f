//! `--config` and `dumpconfig`: the same flags in a file. A key stands for a flag, so that a file can say whatever a
//! command line can, and its values are checked by the same rules and refused in the same words.

use std::{any::TypeId, ffi::OsString, fs, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use crate::{fatal::Fatal, settings};

/// A flag's table and key, by clap's name for it. Names are geth's where geth has one. What is not here is a key of
/// `[Eth]` named after its flag: `--verify-seals` is `VerifySeals`.
const KEYS: [(&str, &str, &str); 33] = [
    ("networkid", "Eth", "NetworkId"),
    ("rpc_gascap", "Eth", "RPCGasCap"),
    ("rpc_evmtimeout", "Eth", "RPCEVMTimeout"),
    ("txfeecap", "Eth", "RPCTxFeeCap"),
    ("pricelimit", "Eth.TxPool", "PriceLimit"),
    ("datadir", "Node", "DataDir"),
    ("http", "Node", "HTTP"),
    ("http_addr", "Node", "HTTPHost"),
    ("http_port", "Node", "HTTPPort"),
    ("http_api", "Node", "HTTPModules"),
    ("http_vhosts", "Node", "HTTPVirtualHosts"),
    ("http_corsdomain", "Node", "HTTPCors"),
    ("ws", "Node", "WS"),
    ("ws_addr", "Node", "WSHost"),
    ("ws_port", "Node", "WSPort"),
    ("ws_api", "Node", "WSModules"),
    ("ws_origins", "Node", "WSOrigins"),
    ("allow_unprotected_txs", "Node", "AllowUnprotectedTxs"),
    ("ipcdisable", "Node", "IPCDisable"),
    ("ipcpath", "Node", "IPCPath"),
    ("keystore", "Node", "KeyStoreDir"),
    ("unlock", "Node", "Unlock"),
    ("password", "Node", "Password"),
    ("allow_insecure_unlock", "Node", "InsecureUnlockAllowed"),
    ("port", "Node.P2P", "Port"),
    ("nodekey", "Node.P2P", "NodeKey"),
    ("maxpeers", "Node.P2P", "MaxPeers"),
    ("nodiscover", "Node.P2P", "NoDiscovery"),
    ("staticpeers", "Node.P2P", "StaticNodes"),
    ("trustedpeers", "Node.P2P", "TrustedNodes"),
    ("verbosity", "Log", "Verbosity"),
    ("log_format", "Log", "Format"),
    ("config", "", ""),
];

/// Flags whose commas separate a list.
const LISTS: [&str; 8] =
    ["http_api", "http_vhosts", "http_corsdomain", "ws_api", "ws_origins", "unlock", "staticpeers", "trustedpeers"];

/// Flags that name the chain: where the command line has one of them, it has them all.
const CHAIN: [&str; 6] = ["mainnet", "sepolia", "hoodi", "classic", "mordor", "genesis"];

/// The table and the key of a flag; nothing for what a file does not say.
fn key_of(arg: &Arg) -> Option<(&'static str, String)> {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::Help | ArgAction::Version) {
        return None;
    }
    match KEYS.iter().find(|(known, _, _)| *known == id) {
        Some((_, "", _)) => None,
        Some((_, table, key)) => Some((table, (*key).to_owned())),
        None => Some(("Eth", id.split(['_', '-']).map(capitalized).collect())),
    }
}

fn capitalized(word: &str) -> String {
    let mut rest = word.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}

/// The command, or the one of its subcommands, that a command line is for.
fn chosen<'a>(command: &'a Command, matches: &'a ArgMatches) -> (&'a Command, &'a ArgMatches, usize) {
    let sub = matches.subcommand().and_then(|(name, matches)| Some((command.find_subcommand(name)?, matches, 2)));
    sub.unwrap_or((command, matches, 1))
}

/// The command line with what the file of its `--config` adds; nothing where it names none, or is wrong by itself.
pub(crate) fn fill(command: &Command, args: &[OsString]) -> Result<Option<Vec<OsString>>, Fatal> {
    let Ok(matches) = command.clone().try_get_matches_from(args) else { return Ok(None) };
    let (command, matches, place) = chosen(command, &matches);
    let Ok(Some(path)) = matches.try_get_one::<PathBuf>("config") else { return Ok(None) };
    let wrong = |what: String| Fatal::usage(format!("--config {}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut added = Vec::new();
    add("", &table, command, matches, &mut added).map_err(wrong)?;
    let (before, after) = args.split_at(place.min(args.len()));
    Ok(Some([before, &added, after].concat()))
}

fn add(
    path: &str,
    table: &Table,
    command: &Command,
    matches: &ArgMatches,
    added: &mut Vec<OsString>,
) -> Result<(), String> {
    for (key, value) in table {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let arg =
            command.get_arguments().find(|arg| key_of(arg).is_some_and(|(table, of)| table == path && of == *key));
        match (arg, value) {
            (Some(arg), value) => {
                let id = arg.get_id().as_str();
                let given = |id: &str| {
                    matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
                };
                let over = given(id) || (CHAIN.contains(&id) && CHAIN.iter().any(|other| given(other)));
                // Read even where the command line comes first, so that a mistake shows at once.
                let flag = flag(arg, value).map_err(|expected| format!("{name}: {expected} is expected"))?;
                added.extend(flag.filter(|_| !over));
            }
            (None, Value::Table(inner)) if is_table(&name) => add(&name, inner, command, matches, added)?,
            (None, _) => return Err(format!("unknown key {name}")),
        }
    }
    Ok(())
}

fn is_table(name: &str) -> bool {
    name == "Eth" || KEYS.iter().any(|(_, table, _)| *table == name)
}

/// The flag as it stands on a command line; nothing for one that is not given.
fn flag(arg: &Arg, value: &Value) -> Result<Option<OsString>, &'static str> {
    let long = arg.get_long().unwrap_or_default();
    let text = match (arg.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(given)) => return Ok(given.then(|| format!("--{long}").into())),
        (ArgAction::SetTrue, _) => return Err("true or false"),
        (_, Value::Array(items)) if is_list(arg) => {
            let items: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            items.ok_or("an array of strings")?.join(",")
        }
        (_, _) if is_list(arg) => return Err("an array of strings"),
        (_, Value::Integer(number)) => number.to_string(),
        (_, Value::Float(number)) if is_float(arg) => number.to_string(),
        (_, Value::String(_)) if is_number(arg) => return Err("a number"),
        (_, Value::String(text)) => text.clone(),
        (_, _) => return Err(if is_number(arg) { "a number" } else { "a string" }),
    };
    Ok(Some(format!("--{long}={text}").into()))
}

fn is_list(arg: &Arg) -> bool {
    LISTS.contains(&arg.get_id().as_str())
}

fn is_number(arg: &Arg) -> bool {
    let of = arg.get_value_parser().type_id();
    let whole = [TypeId::of::<u8>(), TypeId::of::<u16>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
    whole.iter().any(|id| of == *id) || is_float(arg)
}

fn is_float(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<f64>()
}

/// What a command line and its file come to, as `--config` reads it.
pub(crate) fn dump(command: &Command, args: &[OsString]) -> Result<String, Fatal> {
    let matches = command.clone().try_get_matches_from(args).map_err(Fatal::usage)?;
    let (command, matches, _) = chosen(command, &matches);
    let mut table = Table::new();
    for arg in command.get_arguments() {
        let (Some((path, key)), id) = (key_of(arg), arg.get_id().as_str()) else { continue };
        let Some(value) = value_of(arg, matches, id)? else { continue };
        let mut at = &mut table;
        for part in path.split('.') {
            let inner = at.entry(part).or_insert_with(|| Table::new().into());
            at = inner.as_table_mut().ok_or_else(|| Fatal::failed(format!("{path} is a key and a table")))?;
        }
        at.insert(key, value);
    }
    toml::to_string(&table).map_err(|error| Fatal::from_error(&error))
}

fn value_of(arg: &Arg, matches: &ArgMatches, id: &str) -> Result<Option<Value>, Fatal> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Ok(Some(matches.get_flag(id).into()));
    }
    let text = match matches.get_raw(id).and_then(|mut all| all.next()) {
        Some(raw) => {
            raw.to_str().ok_or_else(|| Fatal::usage(format!("{id} is no UTF-8, which TOML wants")))?.to_owned()
        }
        None if id == "datadir" => settings::default_datadir()?.to_string_lossy().into_owned(),
        None if id == "port" => settings::LIGHT_PORT.to_string(),
        None => return Ok(None),
    };
    Ok(Some(if is_list(arg) {
        settings::split(&text).map(Value::from).collect::<Vec<_>>().into()
    } else if let (true, Ok(number)) = (is_float(arg), text.parse::<f64>()) {
        number.into()
    } else if let (true, Ok(number)) = (is_number(arg), text.parse::<i64>()) {
        number.into()
    } else {
        text.into()
    }))
}
