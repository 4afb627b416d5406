-- SPDX-License-Identifier: GPL-2.0-only
CREATE TABLE sweep (
    name TEXT NOT NULL,
    parameters TEXT NOT NULL
);
CREATE TABLE runs (
    key TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    digest TEXT NOT NULL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    seconds REAL,
    recording TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (key, repeat)
);
CREATE TABLE metrics (
    key TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    phase TEXT NOT NULL,
    arm TEXT,
    arm_repeat INTEGER NOT NULL,
    metric TEXT NOT NULL,
    unit TEXT NOT NULL,
    better TEXT NOT NULL,
    value REAL NOT NULL,
    doubts TEXT NOT NULL
);
CREATE INDEX metrics_of_runs ON metrics (key, repeat);
