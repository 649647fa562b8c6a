//! Control groups v1, hybrid and v2: limits, statistics, freeze, kill, OOM.
