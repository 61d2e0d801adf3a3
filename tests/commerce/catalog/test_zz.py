import httpx
async def test_nul(owner: httpx.AsyncClient):
    a=await owner.post("/api/v1/admin/catalog/categories", json={"name":"a\x00b"}); print(a.status_code,a.text)
    a=await owner.get("/api/v1/admin/catalog/products", params={"query":"a\x00b"}); print(a.status_code,a.text)
    a=await owner.get("/api/v1/catalog/products", params={"category":"a\x00b"}); print(a.status_code,a.text)
