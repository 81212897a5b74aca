-- The views of schema 0002, for both engines. HEX(x) and ISO(x) are replaced by the engine's own
-- words for a digest as lower-case hexadecimals and a time as an ISO text; {number} is its name of
-- double precision; see 0002_views.py. Never changed after release: a later revision replaces them.
-- All of them read variant 0 and the latest revision.

CREATE VIEW v_generation AS
SELECT g.id AS generation_id,
       m.name AS model,
       HEX(m.digest) AS model_digest,
       HEX(c.digest) AS config_digest,
       d.name AS dataset,
       d.version AS dataset_version,
       ss."key" AS sample,
       b.text AS behavior,
       b.category AS category,
       s.attack AS attack,
       b.is_benign AS is_benign,
       g.replicate AS replicate,
       s.prompt AS prompt,
       g.text AS text,
       g.raw_text AS raw_text,
       g.finish_reason AS finish_reason,
       g.prompt_tokens AS prompt_tokens,
       g.completion_tokens AS completion_tokens,
       g.latency_ms AS latency_ms,
       r.uid AS run,
       CASE WHEN g.withheld_id IS NULL THEN 0 ELSE 1 END AS is_withheld,
       ISO(g.created_at) AS created_at
  FROM generation g
  JOIN model_version m ON m.id = g.model_version_id
  JOIN config c ON c.id = g.config_id
  JOIN sample s ON s.id = g.sample_id
  JOIN behavior b ON b.id = s.behavior_id
  JOIN run r ON r.id = g.run_id
  JOIN selection_sample ss ON ss.sample_id = g.sample_id
  JOIN dataset d ON d.selection_id = ss.selection_id
 WHERE g.variant = 0;

CREATE VIEW v_score AS
SELECT x.id AS score_id,
       x.generation_id AS generation_id,
       j.name AS judge,
       j.kind AS judge_kind,
       HEX(j.digest) AS judge_digest,
       j.heading AS heading,
       m.name AS model,
       HEX(c.digest) AS config_digest,
       d.name AS dataset,
       d.version AS dataset_version,
       ss."key" AS sample,
       b.text AS behavior,
       b.category AS category,
       s.attack AS attack,
       b.is_benign AS is_benign,
       g.replicate AS replicate,
       x.replicate AS judge_replicate,
       x.revision AS revision,
       x.status AS status,
       x.value AS value,
       x.verdict AS verdict,
       CASE WHEN x.status <> 'ok' THEN NULL
            WHEN x.value IS NOT NULL AND p.operator = '>' THEN
                 CASE WHEN x.value > p.threshold THEN 1 ELSE 0 END
            WHEN x.value IS NOT NULL AND p.operator = '>=' THEN
                 CASE WHEN x.value >= p.threshold THEN 1 ELSE 0 END
            WHEN x.verdict IS NOT NULL
                 AND EXISTS (SELECT 1 FROM judge_verdict v WHERE v.judge_id = x.judge_id) THEN
                 CASE WHEN EXISTS (SELECT 1 FROM judge_verdict v
                                    WHERE v.judge_id = x.judge_id AND v.verdict = x.verdict)
                      THEN 1 ELSE 0 END
            END AS unsafe,
       CASE WHEN x.status = 'ok' AND x.value IS NOT NULL THEN p.threshold END AS threshold,
       CASE WHEN x.status = 'ok' AND x.value IS NOT NULL THEN p.operator END AS operator,
       f.explanation AS explanation,
       ISO(x.created_at) AS created_at
  FROM score x
  JOIN finding f ON f.id = x.finding_id
  JOIN judge j ON j.id = x.judge_id
  JOIN generation g ON g.id = x.generation_id
  JOIN model_version m ON m.id = g.model_version_id
  JOIN config c ON c.id = g.config_id
  JOIN sample s ON s.id = g.sample_id
  JOIN behavior b ON b.id = s.behavior_id
  JOIN selection_sample ss ON ss.sample_id = g.sample_id
  JOIN dataset d ON d.selection_id = ss.selection_id
  LEFT JOIN judge_policy p ON p.judge_id = x.judge_id
       AND p.version = (SELECT max(q.version) FROM judge_policy q WHERE q.judge_id = x.judge_id)
 WHERE g.variant = 0
   AND x.revision = (SELECT max(y.revision) FROM score y
                      WHERE y.judge_id = x.judge_id AND y.generation_id = x.generation_id
                        AND y.replicate = x.replicate);

CREATE VIEW v_outcome AS
SELECT j.name AS judge,
       j.kind AS judge_kind,
       HEX(j.digest) AS judge_digest,
       j.heading AS heading,
       g.id AS generation_id,
       m.name AS model,
       HEX(c.digest) AS config_digest,
       d.name AS dataset,
       d.version AS dataset_version,
       ss."key" AS sample,
       b.category AS category,
       s.attack AS attack,
       b.is_benign AS is_benign,
       g.replicate AS replicate,
       CASE WHEN x.status IS NOT NULL THEN x.status
            WHEN EXISTS (SELECT 1 FROM failure k
                          WHERE k.judge_id = j.id AND k.generation_id = g.id) THEN 'failed'
            ELSE 'pending' END AS outcome,
       x.finding_id AS finding_id,
       x.value AS value,
       x.verdict AS verdict,
       CASE WHEN x.status <> 'ok' THEN NULL
            WHEN x.value IS NOT NULL AND p.operator = '>' THEN
                 CASE WHEN x.value > p.threshold THEN 1 ELSE 0 END
            WHEN x.value IS NOT NULL AND p.operator = '>=' THEN
                 CASE WHEN x.value >= p.threshold THEN 1 ELSE 0 END
            WHEN x.verdict IS NOT NULL
                 AND EXISTS (SELECT 1 FROM judge_verdict v WHERE v.judge_id = j.id) THEN
                 CASE WHEN EXISTS (SELECT 1 FROM judge_verdict v
                                    WHERE v.judge_id = j.id AND v.verdict = x.verdict)
                      THEN 1 ELSE 0 END
            END AS unsafe,
       p.threshold AS threshold,
       p.operator AS operator
  FROM judge j
 CROSS JOIN generation g
  JOIN model_version m ON m.id = g.model_version_id
  JOIN config c ON c.id = g.config_id
  JOIN sample s ON s.id = g.sample_id
  JOIN behavior b ON b.id = s.behavior_id
  JOIN selection_sample ss ON ss.sample_id = g.sample_id
  JOIN dataset d ON d.selection_id = ss.selection_id
  LEFT JOIN judge_policy p ON p.judge_id = j.id
       AND p.version = (SELECT max(q.version) FROM judge_policy q WHERE q.judge_id = j.id)
  LEFT JOIN score x ON x.judge_id = j.id AND x.generation_id = g.id AND x.replicate = 0
       AND x.revision = (SELECT max(y.revision) FROM score y
                          WHERE y.judge_id = j.id AND y.generation_id = g.id AND y.replicate = 0)
 WHERE g.variant = 0;

CREATE VIEW v_asr AS
SELECT judge,
       judge_digest,
       heading,
       threshold,
       operator,
       model,
       config_digest,
       dataset,
       dataset_version,
       attack,
       category,
       count(*) AS generations,
       count(unsafe) AS n,
       coalesce(sum(unsafe), 0) AS unsafe,
       CAST(sum(unsafe) AS {number}) / nullif(count(unsafe), 0) AS asr,
       sum(CASE WHEN outcome = 'ok' AND unsafe IS NULL THEN 1 ELSE 0 END) AS undecided,
       sum(CASE WHEN outcome = 'unparsed' THEN 1 ELSE 0 END) AS unparsed,
       sum(CASE WHEN outcome = 'judge_refused' THEN 1 ELSE 0 END) AS judge_refused,
       sum(CASE WHEN outcome = 'abstained' THEN 1 ELSE 0 END) AS abstained,
       sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS failed,
       sum(CASE WHEN outcome = 'pending' THEN 1 ELSE 0 END) AS pending
  FROM v_outcome
 WHERE is_benign = 0
 GROUP BY judge, judge_digest, heading, threshold, operator, model, config_digest, dataset,
       dataset_version, attack, category;

CREATE VIEW v_toxicity AS
WITH said AS (
     SELECT judge_digest, model, config_digest, dataset, dataset_version, attack, category,
            is_benign, a.attribute AS attribute, a.value AS value
       FROM v_outcome o JOIN finding_attribute a ON a.finding_id = o.finding_id
      UNION ALL
     SELECT judge_digest, model, config_digest, dataset, dataset_version, attack, category,
            is_benign, 'value', value
       FROM v_outcome WHERE value IS NOT NULL
), number AS (
     SELECT judge_digest, model, config_digest, dataset, dataset_version, attack, category,
            is_benign, attribute, count(*) AS n, avg(value) AS mean, max(value) AS maximum
       FROM said
      GROUP BY judge_digest, model, config_digest, dataset, dataset_version, attack, category,
            is_benign, attribute
), whole AS (
     SELECT judge, judge_digest, model, config_digest, dataset, dataset_version, attack, category,
            is_benign, count(*) AS generations,
            sum(CASE WHEN outcome = 'unparsed' THEN 1 ELSE 0 END) AS unparsed,
            sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS failed,
            sum(CASE WHEN outcome = 'pending' THEN 1 ELSE 0 END) AS pending
       FROM v_outcome
      GROUP BY judge, judge_digest, model, config_digest, dataset, dataset_version, attack,
            category, is_benign
)
SELECT w.judge AS judge,
       w.judge_digest AS judge_digest,
       n.attribute AS attribute,
       w.model AS model,
       w.config_digest AS config_digest,
       w.dataset AS dataset,
       w.dataset_version AS dataset_version,
       w.attack AS attack,
       w.category AS category,
       w.is_benign AS is_benign,
       w.generations AS generations,
       n.n AS n,
       n.mean AS mean,
       n.maximum AS maximum,
       w.unparsed AS unparsed,
       w.failed AS failed,
       w.pending AS pending
  FROM whole w
  JOIN number n ON n.judge_digest = w.judge_digest AND n.model = w.model
       AND n.config_digest = w.config_digest AND n.dataset = w.dataset
       AND n.dataset_version = w.dataset_version AND n.attack = w.attack
       AND n.category = w.category AND n.is_benign = w.is_benign;

CREATE VIEW v_pending AS
WITH asked AS (
     SELECT r.model_version_id, r.config_id, r.selection_id, r.dataset_id,
            max(r.replicates) AS replicates
       FROM run r
      WHERE r.kind = 'generate'
      GROUP BY r.model_version_id, r.config_id, r.selection_id, r.dataset_id
), counted AS (
     SELECT a.model_version_id, a.config_id, a.dataset_id,
            e.digest AS selection_digest,
            e.sample_count * a.replicates AS total,
            (SELECT count(*) FROM selection_sample ss
               JOIN generation g ON g.model_version_id = a.model_version_id
                    AND g.config_id = a.config_id AND g.sample_id = ss.sample_id
                    AND g.replicate < a.replicates AND g.variant = 0
              WHERE ss.selection_id = a.selection_id) AS done,
            (SELECT count(*) FROM
               (SELECT DISTINCT f.sample_id, f.replicate FROM failure f
                  JOIN run q ON q.id = f.run_id
                  JOIN selection_sample ss ON ss.sample_id = f.sample_id
                       AND ss.selection_id = a.selection_id
                 WHERE q.model_version_id = a.model_version_id AND q.config_id = a.config_id
                   AND f.stage = 'generate' AND f.replicate < a.replicates
                   AND NOT EXISTS (SELECT 1 FROM generation g
                                    WHERE g.model_version_id = a.model_version_id
                                      AND g.config_id = a.config_id
                                      AND g.sample_id = f.sample_id
                                      AND g.replicate = f.replicate
                                      AND g.variant = 0)) t) AS failed
       FROM asked a JOIN selection e ON e.id = a.selection_id
)
SELECT 'generate' AS stage,
       NULL AS judge,
       NULL AS judge_digest,
       m.name AS model,
       HEX(c.digest) AS config_digest,
       d.name AS dataset,
       d.version AS dataset_version,
       HEX(k.selection_digest) AS selection_digest,
       k.total AS total,
       k.done AS done,
       k.failed AS failed,
       k.total - k.done - k.failed AS pending
  FROM counted k
  JOIN model_version m ON m.id = k.model_version_id
  JOIN config c ON c.id = k.config_id
  LEFT JOIN dataset d ON d.id = k.dataset_id
 WHERE k.total > k.done
 UNION ALL
SELECT 'judge', judge, judge_digest, model, config_digest, dataset, dataset_version, NULL,
       count(*),
       sum(CASE WHEN outcome IN ('failed', 'pending') THEN 0 ELSE 1 END),
       sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END),
       sum(CASE WHEN outcome = 'pending' THEN 1 ELSE 0 END)
  FROM v_outcome
 GROUP BY judge, judge_digest, model, config_digest, dataset, dataset_version
HAVING sum(CASE WHEN outcome IN ('failed', 'pending') THEN 1 ELSE 0 END) > 0;

CREATE VIEW v_coverage AS
SELECT judge,
       judge_digest,
       model,
       config_digest,
       dataset,
       dataset_version,
       is_benign,
       count(*) AS generations,
       sum(CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END) AS ok,
       sum(CASE WHEN outcome = 'unparsed' THEN 1 ELSE 0 END) AS unparsed,
       sum(CASE WHEN outcome = 'judge_refused' THEN 1 ELSE 0 END) AS judge_refused,
       sum(CASE WHEN outcome = 'abstained' THEN 1 ELSE 0 END) AS abstained,
       sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS failed,
       sum(CASE WHEN outcome = 'pending' THEN 1 ELSE 0 END) AS pending,
       CAST(sum(CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END) AS {number}) / count(*) AS coverage
  FROM v_outcome
 GROUP BY judge, judge_digest, model, config_digest, dataset, dataset_version, is_benign;
