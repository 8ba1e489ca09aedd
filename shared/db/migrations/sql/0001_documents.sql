-- The JSON texts that lists and shows are built from, kept beside each row (libraries' measurements: nothing is decoded or
-- encoded on the way). They have Magnum's keys in Magnum's order (contract 1.11 and 1.12.3). Where a link's base URL belongs
-- stands the raw character U+0001, chr(1): JSON never holds it raw, since every value is written by row_to_json, which
-- escapes it. The gateway replaces it by the base URL of the request.

CREATE FUNCTION bay_documents() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    brief text;
    rest text;
BEGIN
    SELECT row_to_json(b)::text INTO brief FROM (SELECT
        NEW.id AS uuid,
        NEW.name AS name,
        NEW.baymodel_id AS baymodel_id,
        NEW.node_count AS node_count,
        NEW.master_count AS master_count,
        NEW.spec->'docker_volume_size' AS docker_volume_size,
        NEW.labels AS labels,
        NEW.spec->'master_flavor_id' AS master_flavor_id,
        NEW.spec->'flavor_id' AS flavor_id,
        NEW.create_timeout AS bay_create_timeout,
        NEW.stack_id AS stack_id,
        NEW.status AS status,
        NEW.spec->'floating_ip_enabled' AS floating_ip_enabled
    ) b;
    SELECT row_to_json(r)::text INTO rest FROM (SELECT
        NEW.status_reason AS status_reason,
        NEW.discovery_url AS discovery_url,
        NEW.api_address AS api_address,
        NEW.coe_version AS coe_version,
        NEW.container_version AS container_version,
        NEW.node_addresses AS node_addresses,
        NEW.master_addresses AS master_addresses,
        NEW.spec->'fixed_network' AS fixed_network,
        NEW.spec->'fixed_subnet' AS fixed_subnet,
        NEW.spec->'master_lb_enabled' AS master_lb_enabled,
        to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS created_at,
        to_char(NEW.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS updated_at
    ) r;
    NEW.doc_brief := left(brief, -1) || ',' || format('"links":[{"rel":"self","href":"%1$s/v1/bays/%2$s"},'
        '{"rel":"bookmark","href":"%1$s/bays/%2$s"}]', chr(1), NEW.id) || '}';
    NEW.doc := left(NEW.doc_brief, -1) || ',' || substr(rest, 2);
    IF NEW.status LIKE '%\_FAILED' THEN
        NEW.doc := left(NEW.doc, -1) || ',"bay_faults":' || NEW.faults::text || '}';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER bay_documents BEFORE INSERT OR UPDATE ON bays
FOR EACH ROW EXECUTE FUNCTION bay_documents();

CREATE FUNCTION baymodel_document() RETURNS trigger LANGUAGE plpgsql AS $$
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
        NEW.attributes->'labels' AS labels,
        NEW.attributes->'tls_disabled' AS tls_disabled,
        NEW.public AS public,
        NEW.attributes->'server_type' AS server_type,
        NEW.attributes->'insecure_registry' AS insecure_registry,
        NEW.attributes->'docker_storage_driver' AS docker_storage_driver,
        NEW.attributes->'master_lb_enabled' AS master_lb_enabled,
        NEW.attributes->'floating_ip_enabled' AS floating_ip_enabled,
        NEW.hidden AS hidden,
        NEW.attributes->'tags' AS tags,
        to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS created_at,
        to_char(NEW.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') AS updated_at
    ) t;
    NEW.doc := left(head, -1) || ',' || format('"links":[{"rel":"self","href":"%1$s/v1/baymodels/%2$s"},'
        '{"rel":"bookmark","href":"%1$s/baymodels/%2$s"}]', chr(1), NEW.id) || ',' || substr(tail, 2);
    RETURN NEW;
END
$$;

CREATE TRIGGER baymodel_document BEFORE INSERT OR UPDATE ON baymodels
FOR EACH ROW EXECUTE FUNCTION baymodel_document();
