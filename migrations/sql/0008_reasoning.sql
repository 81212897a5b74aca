-- v_generation as of schema 0008, for both engines: the reasoning beside the answer. HEX(x) and
-- ISO(x) are the engine's own words, see 0008_reasoning.py. Never changed after release.

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
       g.reasoning AS reasoning,
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
