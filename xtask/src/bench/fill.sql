-- A month of a large organisation: 40 projects, 400 jobs, 100,000 runs, 20,000 destinations of which each run saw 100,
-- 200,000 detections. Made by the database itself, which is the quickest way. Runs end where the organisation's clock is now.
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -1000000;
BEGIN;
DROP INDEX observation_by_destination;
DROP INDEX run_by_time;
DROP INDEX run_days;
DROP INDEX run_by_project;
DROP INDEX run_counts;
DROP INDEX detection_counts;

INSERT INTO project (id, org, provider, name, visibility, created_at, last_run_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
SELECT i, (SELECT MIN(id) FROM org), 'gitlab', 'group-' || (i % 5) || '/app-' || i, 'private', 0, unixepoch() * 1000 FROM n;

INSERT INTO job (id, project, pipeline, name, effective_mode)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
SELECT i, 1 + i % 40, '.gitlab-ci.yml', 'job-' || (i / 40), 'block' FROM n;

INSERT INTO agent (id, org, host, version, tier, kernel, requested_mode, effective_mode, last_seen_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
SELECT i, (SELECT MIN(id) FROM org), 'runner-' || i, '0.1.0', 'A', '6.1.0', 'block', 'block', unixepoch() * 1000 FROM n;

INSERT INTO destination (id, org, name, runs, jobs, connections, blocked, first_seen_at, last_seen_at, programs)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
SELECT i, (SELECT MIN(id) FROM org), 'host-' || i || '.example.com:443', CASE WHEN i <= 20 THEN 100000 ELSE 400 END,
  400, 1000, i % 3, 0, unixepoch() * 1000 - i * 1000, '["/usr/bin/curl","/usr/bin/node"]' FROM n;

INSERT INTO run (number, id, org, project, job, agent, provider_run, attempt, branch, commit_id, actor, cause, url, command,
  requested_mode, effective_mode, tier, state, started_at, last_seen_at, duration_ms, exit_code, events, digested, processes,
  connections, destinations, blocked, file_changes, detections, lost, tags, search)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
SELECT i, printf('%032x', i * 7919 + 1000000), (SELECT MIN(id) FROM org), 1 + i % 40, 1 + i % 400, 1 + i % 50, i, 1,
  'feature-' || (i % 900), printf('%040x', i * 104729), 'actor-' || (i % 70), 'push', NULL, 'make test', 'block', 'block',
  'A', 1, unixepoch() * 1000 - (100000 - i) * 25000, unixepoch() * 1000 - (100000 - i) * 25000, 61000, i % 9 = 0, 5000,
  5000, 800, 300, 100, i % 7 = 0, 900, 2, 0, (i % 7 = 0) + 2 * (i % 11 = 0) + 4 * (i % 50 = 0),
  'group-' || (i % 5) || '/app-' || (1 + i % 40) || char(10) || '.gitlab-ci.yml' || char(10) || 'job-' || (i / 40 % 10) ||
  char(10) || 'feature-' || (i % 900) || char(10) || printf('%040x', i * 104729) || char(10) || 'actor-' || (i % 70)
FROM n;

-- Twenty destinations that all runs see, and eighty others.
INSERT INTO observation (run, destination, started_at, connections, blocked, bytes_sent, bytes_received, program)
WITH RECURSIVE k(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM k WHERE j < 99)
SELECT run.number, CASE WHEN j < 20 THEN j + 1 ELSE 21 + (run.number * 13 + j * 211) % 19980 END, run.started_at, 3, 0, 1000,
  90000, '/usr/bin/curl' FROM run CROSS JOIN k;

INSERT INTO job_destination (job, destination, first_run)
WITH RECURSIVE k(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM k WHERE j < 500)
SELECT job.id, j, job.id FROM job CROSS JOIN k;

INSERT INTO detection (org, run, kind, severity, title, subject, about, program, at, status)
SELECT (SELECT MIN(id) FROM org), number, kind, 'high', 'Something that a person should look at', 'subject-' || number % 500,
  CASE kind WHEN 'outbound-call-blocked' THEN 'destination' ELSE 'file' END, '/usr/bin/curl', started_at, CASE WHEN number % 100 = 0 THEN 'new' ELSE 'resolved' END
FROM run CROSS JOIN (SELECT 'outbound-call-blocked' AS kind UNION ALL SELECT 'source-code-overwritten');

CREATE INDEX run_by_time ON run (org, started_at DESC, number DESC, search);
CREATE INDEX run_days ON run (org, started_at, effective_mode, blocked, detections);
CREATE INDEX run_counts ON run (project, blocked, detections);
CREATE INDEX detection_counts ON detection (org, kind, status);
CREATE INDEX run_by_project ON run (project, started_at DESC, number DESC);
CREATE INDEX observation_by_destination ON observation (destination, started_at DESC, run DESC);
COMMIT;
