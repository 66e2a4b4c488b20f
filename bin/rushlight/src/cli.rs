//! The command line: flags as geth spells them where geth has them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use alloy_primitives::B256;
use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, error::ContextKind, error::ContextValue,
    error::ErrorKind,
};
use rushlight_chain::Retain;

use crate::{
    account::{self, AccountCommand},
    config_file, dev_chain,
    fatal::Fatal,
    logging::{Console, LogFormat},
    mine::MineArgs,
    run_dev, run_full, run_light,
    unlock::UnlockArgs,
};

/// An Ethereum light node: it keeps headers, asks peers for everything else, and believes nothing it has not checked.
#[derive(Debug, Parser)]
#[command(name = "rushlight", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    light: LightArgs,
    /// What dumpconfig prints.
    #[arg(skip)]
    dump: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A full peer for development, private networks and tests: imports or seals blocks, executes and serves them.
    Full(Box<FullArgs>),
    /// Prints the configuration that the light node would run with, as --config reads it.
    Dumpconfig(Box<LightArgs>),
    /// Key files: makes, lists, imports and updates accounts.
    #[command(subcommand)]
    Account(AccountCommand),
    /// A development network on this machine: a full peer that seals what arrives, and a light node.
    Dev(DevArgs),
}

/// Flags of the light node.
#[derive(Debug, Args)]
pub(crate) struct LightArgs {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    /// A file of settings in TOML, as dumpconfig prints it. What the command line gives comes first.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    pub(crate) rpc: RpcArgs,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
    /// Which ethash seals are checked: every one, or the last 2,048 and at least 1 in 100 of the others.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = VerifySeals::Sampled)]
    pub(crate) verify_seals: VerifySeals,
    /// Hash of the header to start from, as somebody you trust gave it: everything below is proved by hash links, without
    /// seals. Needed where blocks carry no difficulty (proof of stake), where it stays the head. Kept in the data directory.
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub(crate) trusted_head: Option<B256>,
    /// How many of the last headers are kept whole, at least 256, or `all`; of those below only every 512th.
    #[arg(long, value_name = "N|all", value_parser = retain, default_value = "2048")]
    pub(crate) retain_headers: Retain,
    #[command(flatten)]
    pub(crate) pool: PoolArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Flags of the full peer.
#[derive(Debug, Args)]
pub(crate) struct FullArgs {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    /// Files of blocks to execute before serving, in this order: .era1, or .rlp as geth exports them.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) import: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    pub(crate) rpc: RpcArgs,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
    #[command(flatten)]
    pub(crate) mine: MineArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Flags of the development network.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Data directory, kept at exit. Without it: a new temporary folder, removed at exit.
    #[arg(long, value_name = "DIR")]
    pub(crate) datadir: Option<PathBuf>,
    /// TCP port of the light node's JSON-RPC on 127.0.0.1, 0 for any.
    #[arg(long = "http.port", value_name = "PORT", default_value_t = rushlight_rpc::config::DEFAULT_PORT)]
    pub(crate) http_port: u16,
    /// Seconds between two blocks; 0: a block for each transaction as it comes, and no others.
    #[arg(long = "dev.period", value_name = "SECONDS", default_value_t = dev_chain::PERIOD)]
    pub(crate) period: u64,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Which chain.
#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// Ethereum mainnet, the default of the light node.
    #[arg(long, group = "network")]
    pub(crate) mainnet: bool,
    /// The test network Sepolia.
    #[arg(long, group = "network")]
    pub(crate) sepolia: bool,
    /// The test network Hoodi.
    #[arg(long, group = "network")]
    pub(crate) hoodi: bool,
    /// Ethereum Classic: headers, reads and logs.
    #[arg(long, group = "network")]
    pub(crate) classic: bool,
    /// Ethereum Classic's test network: headers, reads and logs.
    #[arg(long, group = "network")]
    pub(crate) mordor: bool,
    /// Another chain, or mainnet with its accounts: a genesis.json as geth reads it.
    #[arg(long, value_name = "FILE", group = "network")]
    pub(crate) genesis: Option<PathBuf>,
    /// Takes every proof-of-work seal unchecked: for test chains whose seals are not real.
    #[arg(long)]
    pub(crate) fakepow: bool,
}

/// Data and peers.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Data directory; the light node keeps to light/ below it, the full peer to full/. Default: ~/.rushlight.
    #[arg(long, value_name = "DIR")]
    pub(crate) datadir: Option<PathBuf>,
    /// Network id. Default: the chain id.
    #[arg(long, value_name = "ID")]
    pub(crate) networkid: Option<u64>,
    /// TCP port for peers, 0 for any. Default: 30303 for the light node, 30304 for the full peer.
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// File with the node's key, 64 hex digits. Default: nodekey in the data directory, made if it is not there.
    #[arg(long, value_name = "FILE")]
    pub(crate) nodekey: Option<PathBuf>,
    /// Most peers at once.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) maxpeers: usize,
    /// Does not look for peers.
    #[arg(long)]
    pub(crate) nodiscover: bool,
    /// Peers to stay connected to: enode URLs, with commas between.
    #[arg(long, value_name = "ENODES", default_value = "", hide_default_value = true)]
    pub(crate) staticpeers: String,
    /// Peers always let in, past --maxpeers too: enode URLs, with commas between.
    #[arg(long, value_name = "ENODES", default_value = "", hide_default_value = true)]
    pub(crate) trustedpeers: String,
}

/// JSON-RPC.
#[derive(Debug, Args)]
pub(crate) struct RpcArgs {
    /// Serves JSON-RPC over HTTP.
    #[arg(long)]
    pub(crate) http: bool,
    /// Address the HTTP server listens on.
    #[arg(long = "http.addr", value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) http_addr: String,
    /// TCP port of the HTTP server, 0 for any.
    #[arg(long = "http.port", value_name = "PORT", default_value_t = rushlight_rpc::config::DEFAULT_PORT)]
    pub(crate) http_port: u16,
    /// Modules served over HTTP, with commas between: admin, eth, net, personal, rushlight, txpool, web3.
    #[arg(long = "http.api", value_name = "MODULES", default_value = "eth,net,web3")]
    pub(crate) http_api: String,
    /// Host names that requests may be addressed to, with commas between; * for any.
    #[arg(long = "http.vhosts", value_name = "HOSTS", default_value = "localhost")]
    pub(crate) http_vhosts: String,
    /// Origins of web pages that may read answers over HTTP, with commas between; * for any. Default: none.
    #[arg(long = "http.corsdomain", value_name = "ORIGINS", default_value = "", hide_default_value = true)]
    pub(crate) http_corsdomain: String,
    /// Serves JSON-RPC over WebSocket; at HTTP's address and port on the same server.
    #[arg(long)]
    pub(crate) ws: bool,
    /// Address the WebSocket server listens on.
    #[arg(long = "ws.addr", value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) ws_addr: String,
    /// TCP port of the WebSocket server, 0 for any.
    #[arg(long = "ws.port", value_name = "PORT", default_value_t = rushlight_rpc::config::DEFAULT_WS_PORT)]
    pub(crate) ws_port: u16,
    /// Modules served over WebSocket, with commas between: admin, eth, net, personal, rushlight, txpool, web3.
    #[arg(long = "ws.api", value_name = "MODULES", default_value = "eth,net,web3")]
    pub(crate) ws_api: String,
    /// Origins of web pages that may connect, with commas between; * for any. Default: pages of this machine.
    #[arg(long = "ws.origins", value_name = "ORIGINS", default_value = "", hide_default_value = true)]
    pub(crate) ws_origins: String,
    /// Most gas that a call over JSON-RPC may use, 0 for no cap of its own.
    #[arg(long = "rpc.gascap", value_name = "GAS", default_value_t = rushlight_light::call::DEFAULT_GAS_CAP)]
    pub(crate) rpc_gascap: u64,
    /// How long the EVM may run for a call over JSON-RPC (5s, 500ms, 1m), 0 for as long as it takes.
    #[arg(long = "rpc.evmtimeout", value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) rpc_evmtimeout: Duration,
    /// No IPC socket.
    #[arg(long)]
    pub(crate) ipcdisable: bool,
    /// The IPC socket; a bare name is one in the data directory. Default: rushlight.ipc for the light node, none for
    /// the full peer.
    #[arg(long, value_name = "FILE")]
    pub(crate) ipcpath: Option<PathBuf>,
}

/// Transactions.
#[derive(Debug, Args)]
pub(crate) struct PoolArgs {
    /// The least that a transaction leaves to whoever makes the block, in wei per gas.
    #[arg(long = "txpool.pricelimit", value_name = "WEI", default_value_t = 1)]
    pub(crate) pricelimit: u64,
    /// The most that a transaction sent over JSON-RPC may pay for its gas, in ether; 0 for no bound.
    #[arg(long = "rpc.txfeecap", value_name = "ETHER", default_value_t = 1.0)]
    pub(crate) txfeecap: f64,
    /// Takes transactions over JSON-RPC that are valid on every chain (not protected by EIP-155).
    #[arg(long = "rpc.allow-unprotected-txs")]
    pub(crate) allow_unprotected_txs: bool,
}

/// Logs.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// 0 silent, 1 errors, 2 warnings, 3 information, 4 debug, 5 everything.
    #[arg(long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=5))]
    pub(crate) verbosity: u8,
    /// Format of the log on stderr.
    #[arg(long = "log.format", value_enum, value_name = "FORMAT", default_value_t = LogFormat::Terminal)]
    pub(crate) log_format: LogFormat,
}

/// Which ethash seals are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifySeals {
    /// Every seal.
    All,
    /// The last 2,048 and a sample of the others.
    Sampled,
}

/// Fewer headers than this cannot be kept: contracts may ask for the hashes of the last 256 blocks.
const LEAST_RETAINED: u64 = 256;

/// The value of `--retain-headers`.
fn hash(value: &str) -> Result<B256, String> {
    value.parse().map_err(|_| format!("expected a block hash, 0x and 64 hex digits, got {} characters", value.len()))
}

fn retain(value: &str) -> Result<Retain, String> {
    match value {
        "all" => Ok(Retain::All),
        _ => match value.parse() {
            Ok(last) if last >= LEAST_RETAINED => Ok(Retain::Last(last)),
            _ => Err(format!("expected a number from {LEAST_RETAINED} on, or all")),
        },
    }
}

/// Flags that geth and other clients have, or that Rushlight is to have, and what a run says to whoever gives one where it
/// does not know it: a light node does not mine.
/// A name that ends in a dot stands for all that begin with it.
const NOT_YET: [&str; 19] = [
    "--holesky",
    "--goerli",
    "--dev",
    "--dev.",
    "--config",
    "--http",
    "--http.",
    "--mine",
    "--miner.",
    "--syncmode",
    "--gcmode",
    "--cache",
    "--bootnodes",
    "--discovery.",
    "--nat",
    "--netrestrict",
    "--metrics",
    "--metrics.",
    "--log.file",
];

/// The flags, with the full peer's own defaults: beside a light node on the same machine.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("full", |full| {
        full.mut_arg("http_port", |port| port.default_value("8555"))
            .mut_arg("ws_port", |port| port.default_value("8556"))
    })
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Fatal> {
    let args = account_first(args.into_iter().collect());
    // What a command line lacks may be filled from a file, whose mistakes are then told with the same words.
    let args = config_file::fill(&command(), &args)?.unwrap_or(args);
    let parsed = command().try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    let mut cli = parsed.map_err(|error| {
        if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
            return Fatal::Text(error.render().to_string());
        }
        match (error.kind(), error.get(ContextKind::InvalidArg)) {
            (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) if is_not_yet(flag) => {
                Fatal::usage(format!("{flag} is not supported yet"))
            }
            _ => Fatal::Usage(explain(&error)),
        }
    })?;
    if let Some(Command::Dumpconfig(_)) = &cli.command {
        cli.dump = config_file::dump(&command(), &args)?;
    }
    Ok(cli)
}

/// Runs what was asked for until it ends.
pub(crate) fn run(cli: Cli) -> Result<(), Fatal> {
    if let Some(Command::Account(command)) = cli.command {
        return account::run(command);
    }
    let log = match &cli.command {
        None => &cli.light.log,
        Some(Command::Full(args)) => &args.log,
        Some(Command::Dev(args)) => &args.log,
        Some(Command::Dumpconfig(_) | Command::Account(_)) => return Err(Fatal::Text(cli.dump)),
    };
    let console = Console::start(log.verbosity, log.log_format)?;
    match cli.command {
        None => run_light::run(&cli.light, &console),
        Some(Command::Full(args)) => run_full::run(&args, &console),
        Some(Command::Dev(args)) => run_dev::run(&args, &console),
        Some(Command::Dumpconfig(_) | Command::Account(_)) => Err(Fatal::Text(cli.dump)),
    }
}

/// geth's scripts give flags before `account` too (`geth --datadir DIR account new`): they are moved behind its
/// subcommand, where clap looks for them.
fn account_first(mut args: Vec<OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 4] = ["--datadir", "--keystore", "--password", "--genesis"];
    const ALONE: [&str; 6] = ["--mainnet", "--sepolia", "--hoodi", "--classic", "--mordor", "--lightkdf"];
    let mut at = 1;
    while let Some(arg) = args.get(at).and_then(|arg| arg.to_str()) {
        let name = arg.split_once('=').map_or(arg, |(name, _)| name);
        at += match arg {
            "account" => {
                // Behind `account` and its subcommand, if there is one.
                let end = args.len().min(at + 2);
                args[1..end].rotate_left(at - 1);
                return args;
            }
            _ if WITH_VALUE.contains(&arg) => 2,
            _ if ALONE.contains(&arg) || WITH_VALUE.contains(&name) => 1,
            _ => return args,
        };
    }
    args
}

fn is_not_yet(flag: &str) -> bool {
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    NOT_YET.iter().any(|known| name == *known || (known.ends_with('.') && name.starts_with(known)))
}

/// A duration as geth's flags take it: numbers with units, one after another; 0 needs none.
fn duration(text: &str) -> Result<Duration, String> {
    let refused = || "expected a duration like 5s, 500ms or 1m30s".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| digits + length);
        let seconds = match &rest[digits..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return Err(refused()),
        };
        let number: f64 = rest[..digits].parse().map_err(|_| refused())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| refused())?;
        sum = sum.checked_add(part).ok_or_else(refused)?;
        rest = &rest[unit..];
    }
    if text.is_empty() { Err(refused()) } else { Ok(sum) }
}

/// clap's message without its frame: what is wrong, and where help is.
fn explain(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let what: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    let what = what.join(" ");
    format!("{} (--help lists all flags)", what.strip_prefix("error: ").unwrap_or(&what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_in_go() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        let expected = [("5s", 5_000), ("500ms", 500), ("1m30s", 90_000), ("1.5s", 1_500), ("0", 0), ("0s", 0)];
        for (text, expected) in expected {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-5s", "1d", "5s5", "1e3s", "é"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    fn parse_line(line: &str) -> Result<Cli, Fatal> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn refusal(line: &str) -> String {
        match parse_line(line) {
            Err(Fatal::Usage(message)) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_flags() {
        command().debug_assert();
    }

    #[test]
    fn defaults() {
        let light = parse_line("rushlight").unwrap().light;
        assert_eq!((light.node.port, light.node.maxpeers, light.rpc.http), (None, 50, false));
        assert_eq!((light.rpc.http_addr.as_str(), light.rpc.http_port), ("127.0.0.1", 8545));
        assert_eq!((light.rpc.http_api.as_str(), light.rpc.http_vhosts.as_str()), ("eth,net,web3", "localhost"));
        assert_eq!(light.retain_headers, Retain::LIGHT);
        assert_eq!((light.verify_seals, light.log.verbosity), (VerifySeals::Sampled, 3));
    }

    #[test]
    fn several_files_to_import() {
        let cli = parse_line("rushlight full --genesis g.json --import a.era1 b.rlp --port 0").unwrap();
        let Some(Command::Full(full)) = cli.command else { panic!("full") };
        assert_eq!(full.import, [PathBuf::from("a.era1"), PathBuf::from("b.rlp")]);
        assert_eq!(full.node.port, Some(0));
    }

    #[test]
    fn flags_before_account() {
        for (line, want) in [
            ("r --datadir d --lightkdf account new --password p", "r account new --datadir d --lightkdf --password p"),
            ("r --keystore=k account list", "r account list --keystore=k"),
            ("r account list --keystore k", "r account list --keystore k"),
            ("r --datadir account", "r --datadir account"),
            ("r --http account new", "r --http account new"),
            ("r --datadir d account", "r account --datadir d"),
        ] {
            let moved = account_first(line.split(' ').map(OsString::from).collect());
            assert_eq!(moved.join(" ".as_ref()), want);
        }
    }

    #[test]
    fn mistakes_take_one_line() {
        for line in [
            "rushlight --nonsense",
            "rushlight --port 70000",
            "rushlight --port",
            "rushlight --verbosity 6",
            "rushlight --verify-seals some",
            "rushlight --retain-headers few",
            "rushlight --retain-headers 255",
            "rushlight --retain-headers 0",
            "rushlight full --genesis g.json --retain-headers 2048",
            "rushlight --mainnet --genesis g.json",
            "rushlight --sepolia --mordor",
            "rushlight full --hoodi --genesis g.json",
            "rushlight --maxpeers -1",
            "rushlight stray",
            "rushlight --nodiscover full",
            "rushlight full --import",
            "rushlight --log.format xml",
        ] {
            let message = refusal(line);
            assert!(!message.contains('\n') && !message.contains("error:"), "{message}");
            assert!(!message.contains("not supported yet"), "{message}");
        }
        assert!(refusal("rushlight --port 70000").contains("--port"));
    }

    #[test]
    fn flags_of_later_are_named() {
        for flag in ["--holesky", "--miner.etherbase=1", "--goerli"] {
            let name = flag.split('=').next().unwrap();
            assert_eq!(refusal(&format!("rushlight {flag} x")), format!("{name} is not supported yet"));
        }
        assert_eq!(refusal("rushlight full --config a.toml"), "--config is not supported yet");
        assert_eq!(refusal("rushlight dev --dev.gaslimit 0"), "--dev.gaslimit is not supported yet");
    }
}
