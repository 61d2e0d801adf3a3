-- The yardstick's own shop: 1000 tenants with one store and 50 products each, stock on the
-- product row. Plain tables with the keys and indexes a careful hand would give them.

CREATE FUNCTION shop_tenant(store bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT ('00000000-0000-4000-8000-' || lpad(store::text, 12, '0'))::uuid $$;

CREATE TABLE stores (
  id bigint PRIMARY KEY,
  tenant_id uuid NOT NULL,
  name text NOT NULL,
  is_open boolean NOT NULL,
  fee_cents int NOT NULL,
  UNIQUE (tenant_id, id)
);
CREATE TABLE products (
  id bigint PRIMARY KEY,
  tenant_id uuid NOT NULL,
  store_id bigint NOT NULL REFERENCES stores,
  name text NOT NULL,
  description text NOT NULL,
  image_url text,
  price_cents int NOT NULL,
  stock int NOT NULL,
  is_active boolean NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  store_id bigint NOT NULL REFERENCES stores,
  customer_name text NOT NULL,
  phone text NOT NULL,
  subtotal_cents int NOT NULL,
  fee_cents int NOT NULL,
  total_cents int NOT NULL,
  status text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE order_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  order_id bigint NOT NULL REFERENCES orders,
  product_id bigint NOT NULL REFERENCES products,
  quantity int NOT NULL,
  unit_price_cents int NOT NULL
);
CREATE TABLE payments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  order_id bigint NOT NULL REFERENCES orders,
  method text NOT NULL,
  amount_cents int NOT NULL,
  status text NOT NULL
);
CREATE TABLE deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  order_id bigint NOT NULL REFERENCES orders,
  address jsonb NOT NULL,
  fee_cents int NOT NULL,
  status text NOT NULL
);

INSERT INTO stores
SELECT s, shop_tenant(s), 'Loja ' || s, true, 700 FROM generate_series(1, 1000) AS s;
INSERT INTO products
SELECT (s - 1) * 50 + p, shop_tenant(s), s, 'Produto ' || p,
  'Feito na hora com ingredientes frescos; serve bem duas pessoas. Item ' || p,
  'https://img.example.com/' || s || '/' || p || '.jpg', 900 + 35 * p, 1000000000, true
FROM generate_series(1, 1000) AS s, generate_series(1, 50) AS p;

CREATE INDEX ON products (tenant_id, store_id, id);
CREATE INDEX ON orders (tenant_id, store_id, created_at);
CREATE INDEX ON order_items (order_id);
CREATE INDEX ON payments (order_id);
CREATE INDEX ON deliveries (order_id);
