mod blocks;
mod chains;
mod honest;
mod liars;
mod net;
mod restart;
