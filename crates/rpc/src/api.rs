//! What every method reads from, and which methods there are.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Deref,
};

use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    server::Methods,
    types::{ErrorObjectOwned, Params},
};
use tracing::warn;

use crate::{
    Services, accounts, admin, calls, eth, fees, net, params::Args, raw, send, simulate, submit, transactions, txpool,
};

/// A method's outcome.
pub(crate) type Answer<T> = Result<T, ErrorObjectOwned>;

/// Every module there is, with its version as `rpc_modules` gives it.
pub(crate) const MODULES: [(&str, &str); 8] = [
    ("admin", "1.0"),
    ("eth", "1.0"),
    ("net", "1.0"),
    ("personal", "1.0"),
    ("rpc", "1.0"),
    ("rushlight", "1.0"),
    ("txpool", "1.0"),
    ("web3", "1.0"),
];

/// What the methods read from.
pub(crate) struct Api {
    pub(crate) services: Services,
    /// Modules that are on, with their versions.
    pub(crate) modules: BTreeMap<&'static str, &'static str>,
}

impl Deref for Api {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

/// The module list that an operator gave, sorted into what exists and what does not. `rpc` is always on: it only
/// says what else is.
pub(crate) fn choose(transport: &str, wanted: &[String]) -> BTreeMap<&'static str, &'static str> {
    let wanted: BTreeSet<&str> = wanted.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    let unknown: Vec<&str> =
        wanted.iter().copied().filter(|name| MODULES.iter().all(|(known, _)| known != name)).collect();
    if !unknown.is_empty() {
        let available: Vec<&str> = MODULES.iter().map(|(name, _)| *name).collect();
        warn!(
            unavailable = unknown.join(","),
            available = available.join(","),
            "Unavailable modules in {transport} API list"
        );
    }
    MODULES.into_iter().filter(|(name, _)| *name == "rpc" || wanted.contains(name)).collect()
}

/// The methods of the modules that are on.
pub(crate) fn methods(api: Api) -> Result<(Methods, HashSet<&'static str>), RegisterMethodError> {
    let on: HashSet<_> = api.modules.keys().copied().collect();
    let with_pool = api.pool.is_some();
    let mut module = RpcModule::new(api);
    net::register(&mut module)?;
    eth::register(&mut module)?;
    raw::register(&mut module)?;
    transactions::register(&mut module)?;
    fees::register(&mut module)?;
    simulate::register(&mut module)?;
    calls::register(&mut module)?;
    if with_pool {
        submit::register(&mut module)?;
        send::register_sending(&mut module)?;
        txpool::register(&mut module)?;
    }
    admin::register(&mut module)?;
    accounts::register(&mut module)?;
    send::register(&mut module)?;
    let off: Vec<_> =
        module.method_names().filter(|name| !name.split_once('_').is_some_and(|(of, _)| on.contains(of))).collect();
    for name in off {
        module.remove_method(name);
    }
    let names = module.method_names().collect();
    Ok((module.into(), names))
}

/// For methods without arguments: refuses any.
pub(crate) fn nothing(params: &Params<'_>) -> Answer<()> {
    Args::parse(params, 0).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<&'static str> {
        choose("HTTP", &list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).into_keys().collect()
    }

    #[test]
    fn only_named_modules_are_on() {
        assert_eq!(names(&["eth", "net", "web3"]), ["eth", "net", "rpc", "web3"]);
        assert_eq!(names(&[" admin", "nonsense", ""]), ["admin", "rpc"]);
        assert_eq!(names(&[]), ["rpc"]);
        assert_eq!(names(&["ADMIN"]), ["rpc"], "names are exact");
    }
}
