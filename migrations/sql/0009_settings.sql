-- v_generation as of schema 0009, for both engines: what was posed beside the prompt, and the
-- settings that people filter by. HEX(x), ISO(x), IN_ORDER(x) and SETTING(x) are the engine's own
-- words, see 0009_settings.py. Never changed after release.

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
       ISO(g.created_at) AS created_at,
       s.attack_parameters AS attack_parameters,
       s.target AS target,
       s.metadata AS metadata,
       '[' || coalesce((SELECT IN_ORDER('"' || HEX(i.sha256) || '"', si.position)
                          FROM sample_media si JOIN media i ON i.id = si.media_id
                         WHERE si.sample_id = s.id LIMIT 1), '') || ']' AS images,
       '[' || coalesce((SELECT IN_ORDER(CASE WHEN i.withheld_id IS NOT NULL THEN 'null' ELSE
                               '"' || substr(HEX(i.sha256), 1, 2)
                               || '/' || substr(HEX(i.sha256), 3, 2)
                               || '/' || HEX(i.sha256)
                               || CASE i.mime_type WHEN 'image/png' THEN '.png'
                                                   WHEN 'image/jpeg' THEN '.jpg'
                                                   WHEN 'image/webp' THEN '.webp'
                                                   WHEN 'image/bmp' THEN '.bmp'
                                                   WHEN 'image/gif' THEN '.gif' ELSE '' END
                               || '"' END, si.position)
                          FROM sample_media si JOIN media i ON i.id = si.media_id
                         WHERE si.sample_id = s.id LIMIT 1), '') || ']' AS image_paths,
       c.temperature AS temperature,
       c.top_p AS top_p,
       c.max_new_tokens AS max_new_tokens,
       c.do_sample AS do_sample,
       c.seed AS seed,
       c.dtype AS dtype,
       c.quantization AS quantization,
       SETTING(system_prompt) AS system_prompt,
       c.value AS settings
  FROM generation g
  JOIN model_version m ON m.id = g.model_version_id
  JOIN config c ON c.id = g.config_id
  JOIN sample s ON s.id = g.sample_id
  JOIN behavior b ON b.id = s.behavior_id
  JOIN run r ON r.id = g.run_id
  JOIN selection_sample ss ON ss.sample_id = g.sample_id
  JOIN dataset d ON d.selection_id = ss.selection_id
 WHERE g.variant = 0;
