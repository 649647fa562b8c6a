//! rtnetlink and nftables sockets: typed messages, batches, transactions.
