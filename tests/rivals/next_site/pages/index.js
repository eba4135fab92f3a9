import Image from "next/image";

export default function Lakes() {
  return (
    <main>
      <Image src="/lake.jpg" alt="A lake" width={320} height={213} loading="eager" />
      <Image src="/lake.jpg" alt="A lake" width={64} height={64} loading="eager" quality={75} />
      <div style={{ position: "relative", width: "400px", height: "300px" }}>
        <Image src="/door.png" alt="A door" fill sizes="400px" loading="eager" />
      </div>
    </main>
  );
}
