"""A WhatsApp number's route is kept by the database; a number's last day is found by an index."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0030"
branch_labels = None
depends_on = None

# With its owner's rights: the tenant's role neither sees nor writes the system table. A number
# that another tenant holds is refused by the name of the constraint it breaks, and by nothing else.
_KEEP = """
CREATE FUNCTION keep_whatsapp_route() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  scope uuid := app_tenant_id();
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM whatsapp_routes
    WHERE phone_number_id = OLD.phone_number_id AND owner_id = coalesce(scope, OLD.tenant_id);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO whatsapp_routes AS r (id, phone_number_id, waba_id, owner_id)
    VALUES (NEW.id, NEW.phone_number_id, NEW.waba_id, coalesce(scope, NEW.tenant_id))
    ON CONFLICT (phone_number_id) DO UPDATE SET waba_id = excluded.waba_id
      WHERE r.owner_id = excluded.owner_id;
    IF NOT FOUND THEN
      RAISE unique_violation USING MESSAGE = 'the phone number id is taken',
        TABLE = 'whatsapp_routes', CONSTRAINT = 'whatsapp_routes_phone_number_id_key';
    END IF;
  END IF;
  RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER keep_whatsapp_route
AFTER INSERT OR DELETE OR UPDATE OF phone_number_id, waba_id ON whatsapp_numbers
FOR EACH ROW EXECUTE FUNCTION keep_whatsapp_route()
"""


def upgrade() -> None:
    op.execute(_KEEP)
    op.execute("REVOKE ALL ON FUNCTION keep_whatsapp_route() FROM PUBLIC")
    op.execute(_TRIGGER)
    op.create_index(
        "messages_tenant_id_number_id_idx", "messages", ["tenant_id", "number_id", "provider_at"]
    )


def downgrade() -> None:
    op.drop_index("messages_tenant_id_number_id_idx", "messages")
    op.execute("DROP TRIGGER keep_whatsapp_route ON whatsapp_numbers")
    op.execute("DROP FUNCTION keep_whatsapp_route()")
