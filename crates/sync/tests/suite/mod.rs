mod blocks;
mod chains;
mod honest;
mod liars;
mod logs;
mod net;
mod restart;
mod trusted;
