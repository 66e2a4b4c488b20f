//! The command line: flags as geth spells them where geth has them.

use std::{ffi::OsString, path::PathBuf};

use alloy_primitives::B256;
use clap::{Args, Parser, Subcommand, ValueEnum, error::ContextKind, error::ContextValue, error::ErrorKind};

use crate::{
    fatal::Fatal,
    logging::{Console, LogFormat},
    run_dev, run_full, run_light,
};

/// An Ethereum light node: it keeps headers, asks peers for everything else, and believes nothing it has not checked.
#[derive(Debug, Parser)]
#[command(name = "rushlight", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    light: LightArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A full peer for development, private networks and tests: imports or seals blocks, executes and serves them.
    Full(FullArgs),
    /// A development network on this machine: a full peer that seals a block every 2 seconds, and a light node.
    Dev(DevArgs),
}

/// Flags of the light node.
#[derive(Debug, Args)]
pub(crate) struct LightArgs {
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    /// Which ethash seals are checked: every one, or the last 2,048 and at least 1 in 100 of the others.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = VerifySeals::Sampled)]
    pub(crate) verify_seals: VerifySeals,
    /// Hash of the header to start from, as somebody you trust gave it: everything below is proved by hash links, without
    /// seals. Needed where blocks carry no difficulty (proof of stake), where it stays the head. Kept in the data directory.
    #[arg(long, value_name = "HASH")]
    pub(crate) trusted_head: Option<B256>,
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
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Which chain.
#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// Ethereum mainnet, the default of the light node.
    #[arg(long, conflicts_with = "genesis")]
    pub(crate) mainnet: bool,
    /// Another chain, or mainnet with its accounts: a genesis.json as geth reads it.
    #[arg(long, value_name = "FILE")]
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

/// JSON-RPC over HTTP.
#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// Serves JSON-RPC over HTTP.
    #[arg(long)]
    pub(crate) http: bool,
    /// Address the HTTP server listens on.
    #[arg(long = "http.addr", value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) http_addr: String,
    /// TCP port of the HTTP server, 0 for any.
    #[arg(long = "http.port", value_name = "PORT", default_value_t = rushlight_rpc::config::DEFAULT_PORT)]
    pub(crate) http_port: u16,
    /// Modules served over HTTP, with commas between: admin, eth, net, web3.
    #[arg(long = "http.api", value_name = "MODULES", default_value = "eth,net,web3")]
    pub(crate) http_api: String,
    /// Host names that requests may be addressed to, with commas between; * for any.
    #[arg(long = "http.vhosts", value_name = "HOSTS", default_value = "localhost")]
    pub(crate) http_vhosts: String,
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

/// Flags that geth and other clients have, or that Rushlight is to have, and what a run says to whoever gives one.
/// A name that ends in a dot stands for all that begin with it.
const NOT_YET: [&str; 32] = [
    "--sepolia",
    "--holesky",
    "--hoodi",
    "--goerli",
    "--classic",
    "--mordor",
    "--dev",
    "--dev.",
    "--retain-headers",
    "--config",
    "--ws",
    "--ws.",
    "--ipcpath",
    "--ipcdisable",
    "--http",
    "--http.",
    "--mine",
    "--miner.",
    "--unlock",
    "--password",
    "--allow-insecure-unlock",
    "--keystore",
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

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Fatal> {
    Cli::try_parse_from(args).map_err(|error| {
        if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
            return Fatal::Text(error.render().to_string());
        }
        match (error.kind(), error.get(ContextKind::InvalidArg)) {
            (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) if is_not_yet(flag) => {
                Fatal::usage(format!("{flag} is not supported yet"))
            }
            _ => Fatal::Usage(explain(&error)),
        }
    })
}

/// Runs what was asked for until it ends.
pub(crate) fn run(cli: Cli) -> Result<(), Fatal> {
    let log = match &cli.command {
        None => &cli.light.log,
        Some(Command::Full(args)) => &args.log,
        Some(Command::Dev(args)) => &args.log,
    };
    let console = Console::start(log.verbosity, log.log_format)?;
    match cli.command {
        None => run_light::run(&cli.light, &console),
        Some(Command::Full(args)) => run_full::run(&args, &console),
        Some(Command::Dev(args)) => run_dev::run(&args, &console),
    }
}

fn is_not_yet(flag: &str) -> bool {
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    NOT_YET.iter().any(|known| name == *known || (known.ends_with('.') && name.starts_with(known)))
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
    use clap::CommandFactory;

    use super::*;

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
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults() {
        let light = parse_line("rushlight").unwrap().light;
        assert_eq!((light.node.port, light.node.maxpeers, light.http.http), (None, 50, false));
        assert_eq!((light.http.http_addr.as_str(), light.http.http_port), ("127.0.0.1", 8545));
        assert_eq!((light.http.http_api.as_str(), light.http.http_vhosts.as_str()), ("eth,net,web3", "localhost"));
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
    fn mistakes_take_one_line() {
        for line in [
            "rushlight --nonsense",
            "rushlight --port 70000",
            "rushlight --port",
            "rushlight --verbosity 6",
            "rushlight --verify-seals some",
            "rushlight --mainnet --genesis g.json",
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
        for flag in ["--sepolia", "--ws", "--ws.port=1", "--config", "--http.corsdomain"] {
            let name = flag.split('=').next().unwrap();
            assert_eq!(refusal(&format!("rushlight {flag} x")), format!("{name} is not supported yet"));
        }
        assert_eq!(refusal("rushlight full --http"), "--http is not supported yet");
        assert_eq!(refusal("rushlight dev --dev.period 0"), "--dev.period is not supported yet");
    }
}
