-- The yardstick's checkout for pgbench: the nine messages of benchmarks/yardstick.py.
\set store random(1, 1000)
\set first (:store - 1) * 50
\set a :first + random(1, 16)
\set b :first + random(17, 33)
\set c :first + random(34, 50)
BEGIN;
SELECT id, name, is_open, fee_cents FROM stores WHERE tenant_id = shop_tenant(:store) AND id = :store;
SELECT id, price_cents, stock, is_active FROM products WHERE tenant_id = shop_tenant(:store) AND id IN (:a, :b, :c) ORDER BY id FOR UPDATE;
INSERT INTO orders (tenant_id, store_id, customer_name, phone, subtotal_cents, fee_cents, total_cents, status) VALUES (shop_tenant(:store), :store, 'Joana Pereira', '+5511987654321', 5400, 700, 6100, 'pending') RETURNING id AS placed \gset
INSERT INTO order_items (tenant_id, order_id, product_id, quantity, unit_price_cents) VALUES (shop_tenant(:store), :placed, :a, 1, 1800), (shop_tenant(:store), :placed, :b, 1, 1800), (shop_tenant(:store), :placed, :c, 1, 1800);
INSERT INTO payments (tenant_id, order_id, method, amount_cents, status) VALUES (shop_tenant(:store), :placed, 'pix', 6100, 'pending');
INSERT INTO deliveries (tenant_id, order_id, address, fee_cents, status) VALUES (shop_tenant(:store), :placed, '{"postal_code": "01310100", "street": "Avenida Paulista", "number": "1578"}', 700, 'pending');
UPDATE products p SET stock = p.stock - taken.quantity, updated_at = now() FROM (VALUES (:a::bigint, 1), (:b::bigint, 1), (:c::bigint, 1)) AS taken(id, quantity) WHERE p.id = taken.id;
COMMIT;
