-- The texts of the same rows under their later names (contract 1.10 and 1.12.3). Beside U+0001 for the base URL, U+0002
-- stands for the key of the stack: `stack_id` up to microversion 1.12, `cluster_id` from 1.13 on. What bays answer is as
-- the triggers of 0001 write it.

CREATE FUNCTION moment(instant timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
$$;

CREATE FUNCTION links(resource text, id uuid) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('"links":[{"rel":"self","href":"%1$s/v1/%2$s/%3$s"},{"rel":"bookmark","href":"%1$s/%2$s/%3$s"}]',
                  chr(1), resource, id)
$$;

CREATE FUNCTION cluster_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head text;
    tail text;
    rest text;
BEGIN
    SELECT row_to_json(h)::text INTO head FROM (SELECT
        NEW.id AS uuid,
        NEW.name AS name,
        NEW.baymodel_id AS cluster_template_id,
        NEW.spec->'keypair_name' AS keypair,
        NEW.spec->'docker_volume_size' AS docker_volume_size,
        NEW.labels AS labels,
        NEW.spec->'master_flavor_id' AS master_flavor_id,
        NEW.spec->'flavor_id' AS flavor_id,
        NEW.node_count AS node_count,
        NEW.master_count AS master_count,
        NEW.create_timeout AS create_timeout
    ) h;
    SELECT row_to_json(t)::text INTO tail FROM (SELECT
        NEW.status AS status,
        NEW.health_status AS health_status,
        NEW.merge_labels AS merge_labels
    ) t;
    SELECT row_to_json(r)::text INTO rest FROM (SELECT
        NEW.labels_added AS labels_added,
        NEW.labels_overridden AS labels_overridden,
        NEW.labels_skipped AS labels_skipped,
        NEW.status_reason AS status_reason,
        NEW.health_status_reason AS health_status_reason,
        NEW.discovery_url AS discovery_url,
        NEW.api_address AS api_address,
        NEW.coe_version AS coe_version,
        NEW.container_version AS container_version,
        NEW.node_addresses AS node_addresses,
        NEW.master_addresses AS master_addresses,
        NEW.spec->'fixed_network' AS fixed_network,
        NEW.spec->'fixed_subnet' AS fixed_subnet,
        NEW.spec->'floating_ip_enabled' AS floating_ip_enabled,
        NEW.spec->'master_lb_enabled' AS master_lb_enabled,
        NEW.project_id AS project_id,
        NEW.user_id AS user_id,
        moment(NEW.created_at) AS created_at,
        moment(NEW.updated_at) AS updated_at
    ) r;
    NEW.doc_cluster_brief := left(head, -1) || ',"' || chr(2) || '":' || coalesce(to_json(NEW.stack_id)::text, 'null')
        || ',' || left(substr(tail, 2), -1) || ',' || links('clusters', NEW.id) || '}';
    NEW.doc_cluster := left(NEW.doc_cluster_brief, -1) || ',' || substr(rest, 2);
    IF NEW.status LIKE '%\_FAILED' THEN
        NEW.doc_cluster := left(NEW.doc_cluster, -1) || ',"faults":' || NEW.faults::text || '}';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER cluster_documents BEFORE INSERT OR UPDATE ON bays
FOR EACH ROW EXECUTE FUNCTION cluster_documents();

CREATE FUNCTION clustertemplate_document() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head text;
    tail text;
BEGIN
    SELECT row_to_json(h)::text INTO head FROM (SELECT
        NEW.id AS uuid,
        NEW.name AS name,
        NEW.coe AS coe,
        NEW.image_id AS image_id,
        NEW.attributes->'flavor_id' AS flavor_id,
        NEW.attributes->'master_flavor_id' AS master_flavor_id,
        NEW.attributes->'dns_nameserver' AS dns_nameserver,
        NEW.attributes->'keypair_id' AS keypair_id,
        NEW.attributes->'external_network_id' AS external_network_id,
        NEW.attributes->'fixed_network' AS fixed_network,
        NEW.attributes->'fixed_subnet' AS fixed_subnet,
        NEW.attributes->'network_driver' AS network_driver,
        NEW.attributes->'apiserver_port' AS apiserver_port,
        NEW.attributes->'docker_volume_size' AS docker_volume_size,
        NEW.attributes->'cluster_distro' AS cluster_distro
    ) h;
    SELECT row_to_json(t)::text INTO tail FROM (SELECT
        NEW.attributes->'http_proxy' AS http_proxy,
        NEW.attributes->'https_proxy' AS https_proxy,
        NEW.attributes->'no_proxy' AS no_proxy,
        NEW.attributes->'volume_driver' AS volume_driver,
        NEW.attributes->'registry_enabled' AS registry_enabled,
        CASE WHEN jsonb_typeof(NEW.attributes->'labels') = 'object' THEN NEW.attributes->'labels' ELSE '{}' END AS labels,
        NEW.attributes->'tls_disabled' AS tls_disabled,
        NEW.public AS public,
        NEW.attributes->'server_type' AS server_type,
        NEW.attributes->'insecure_registry' AS insecure_registry,
        NEW.attributes->'docker_storage_driver' AS docker_storage_driver,
        NEW.attributes->'master_lb_enabled' AS master_lb_enabled,
        NEW.attributes->'floating_ip_enabled' AS floating_ip_enabled,
        NEW.hidden AS hidden,
        NEW.attributes->'tags' AS tags,
        coalesce(NEW.attributes->>'driver', '') AS driver,
        NEW.project_id AS project_id,
        NEW.user_id AS user_id,
        moment(NEW.created_at) AS created_at,
        moment(NEW.updated_at) AS updated_at
    ) t;
    NEW.doc_template := left(head, -1) || ',' || links('clustertemplates', NEW.id) || ',' || substr(tail, 2);
    RETURN NEW;
END
$$;

CREATE TRIGGER clustertemplate_document BEFORE INSERT OR UPDATE ON baymodels
FOR EACH ROW EXECUTE FUNCTION clustertemplate_document();
