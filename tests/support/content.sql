-- Everything that a database holds, as rows of text: what its catalogue says of its own objects, and for each table the
-- number of its rows and a hash of them in order. One line each. Privileges and owners are not among it: a logical backup has none.
WITH relations AS (
  SELECT c.oid, format('%I.%I', nspname, relname) AS name, relkind, relpersistence
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), counted AS (
  SELECT name, pg_catalog.query_to_xml(
    CASE relkind
      WHEN 'S' THEN format('SELECT last_value, is_called FROM %s', name)
      ELSE format('SELECT count(*) AS rows, md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) AS hash FROM %s t', name)
    END, false, true, '')::text AS rows
  FROM relations WHERE relkind IN ('r', 'm', 'v', 'S') AND relpersistence <> 'u'
)
SELECT kind, name, translate(value, chr(10), ' ') FROM (
SELECT 'relation' AS kind, name, relkind::text || relpersistence::text AS value FROM relations WHERE relkind <> 't'
UNION ALL
SELECT 'column', format('%s.%I', name, attname),
       concat_ws(' ', row_number() OVER (PARTITION BY relations.oid ORDER BY attnum),
                 pg_catalog.format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
                 attcollation::regcollation, pg_catalog.pg_get_expr(adbin, adrelid))
FROM relations JOIN pg_catalog.pg_attribute ON attrelid = relations.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relkind IN ('r', 'v', 'm', 'p', 'c', 'f')
UNION ALL
SELECT 'index', name, pg_catalog.pg_get_indexdef(oid) FROM relations WHERE relkind IN ('i', 'I')
UNION ALL
SELECT 'view', name, pg_catalog.pg_get_viewdef(oid) FROM relations WHERE relkind IN ('v', 'm')
UNION ALL
SELECT 'constraint', format('%s.%I', name, conname), pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k JOIN relations ON relations.oid = conrelid WHERE contype <> 'n'
UNION ALL
SELECT 'trigger', format('%s.%I', name, tgname), pg_catalog.pg_get_triggerdef(g.oid)
FROM pg_catalog.pg_trigger g JOIN relations ON relations.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = pronamespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'label', enumtypid::regtype::text, string_agg(enumlabel, ',' ORDER BY enumsortorder)
FROM pg_catalog.pg_enum GROUP BY enumtypid
UNION ALL
SELECT 'extension', extname, '' FROM pg_catalog.pg_extension
UNION ALL
SELECT 'large object', oid::text, md5(pg_catalog.lo_get(oid)) FROM pg_catalog.pg_largeobject_metadata
UNION ALL
SELECT 'rows', name, rows FROM counted
) all_of_it
ORDER BY 1, 2, 3
