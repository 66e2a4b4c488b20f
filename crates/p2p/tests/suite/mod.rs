mod dialling;
mod hostile;
mod limits;
mod messages;
mod network;
mod sessions;
mod tcp;
mod util;
