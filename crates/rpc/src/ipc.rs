//! JSON-RPC over a Unix socket, with geth's framing: JSON texts one after the other, each answer with a line break.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixSocket, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tracing::{info, warn};

use crate::{
    RpcError,
    config::{IPC_CHUNK, IpcConfig, MAX_SOCKET_PATH},
    dispatch::Dispatch,
    error::{self, IpcError},
    framing::Framer,
    server::{AsyncAccept, Running},
    session::{Said, Wire, converse},
};

/// Callers that the kernel lets wait, geth's (and Go's) order of size.
const BACKLOG: u32 = 128;

/// A running socket. Dropping it stops it without waiting for requests under way; the file then stays, and gives way
/// to the next node.
#[derive(Debug)]
pub struct IpcHandle {
    path: PathBuf,
    /// Device and inode, by which the file is known as this one's.
    file: (u64, u64),
    task: Running,
}

impl IpcHandle {
    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes no new requests, lets those under way end for up to a second, and removes the file.
    pub async fn shutdown(self) {
        self.task.stop("IPC").await;
        if identity(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(%error, path = %self.path.display(), "IPC endpoint is left behind");
        }
        info!(url = %self.path.display(), "IPC endpoint closed");
    }
}

impl AsyncAccept<UnixStream> for UnixListener {
    async fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// Makes the socket and serves on it until the handle is shut down or dropped.
pub(crate) fn start(config: &IpcConfig, dispatch: Dispatch) -> Result<IpcHandle, RpcError> {
    let path = config.path.clone();
    let refused = |why| RpcError::Ipc { path: path.clone(), why };
    let listener = bind(&path).map_err(refused)?;
    let file = identity(&path).map_err(|error| refused(error.into()))?;
    let dispatch = Arc::new(dispatch);
    let task = Running::start(config.max_connections, listener, move |stream: UnixStream, stopped| {
        let dispatch = dispatch.clone();
        async move {
            let (incoming, out) = stream.into_split();
            converse(messages(incoming, dispatch.max_request()), Ipc(out), &dispatch, stopped).await;
        }
    });
    info!(url = %path.display(), "IPC endpoint opened");
    Ok(IpcHandle { path, file, task })
}

fn bind(path: &Path) -> Result<UnixListener, IpcError> {
    let length = path.as_os_str().as_bytes().len();
    if length > MAX_SOCKET_PATH {
        return Err(IpcError::TooLong { length, most: MAX_SOCKET_PATH });
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    clear(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    // Before anyone can connect, and not after.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(socket.listen(BACKLOG)?)
}

/// Removes what a node that was killed has left; whatever else is there stays.
fn clear(path: &Path) -> Result<(), IpcError> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?.file_type(),
    };
    if !kind.is_socket() {
        return Err(IpcError::NoSocket);
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(error.into()),
        Ok(_) => Err(IpcError::InUse),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn messages(incoming: OwnedReadHalf, max: usize) -> impl Stream<Item = Said> + Send {
    let start = (incoming, Framer::new(max), vec![0; IPC_CHUNK]);
    stream::unfold(Some(start), async |state| {
        let (mut incoming, mut framer, mut chunk) = state?;
        loop {
            match framer.next_value() {
                Ok(Some(text)) => return Some((Said::Text(text), Some((incoming, framer, chunk)))),
                Ok(None) => {}
                Err(wrong) => return Some((Said::Unreadable(Some(error::unreadable(wrong.to_string()))), None)),
            }
            match incoming.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => framer.feed(&chunk[..length]),
            }
        }
    })
}

struct Ipc(OwnedWriteHalf);

impl Wire for Ipc {
    const STREAM: bool = true;

    async fn send(&mut self, answer: Vec<u8>) -> io::Result<()> {
        self.0.write_all(&answer).await
    }

    async fn ping(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
